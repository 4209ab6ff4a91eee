//! Two reports side by side: which kernels and steps have become slower or faster, beyond their noise.

use super::report::Report;
use crate::plan::Precision;

/// Two runs of the same kernel differ by this much although nothing has changed: what other programs do to a machine
/// between the runs, which the spread within one does not show.
const NOISE_BETWEEN_RUNS: f64 = 0.15;

/// What a dispatch costs beside its kernel varies by this share of itself between runs.
const NOISE_OF_A_DISPATCH: f64 = 0.5;

/// What has become of one kernel or step.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The adapter.
    pub adapter: String,
    /// Variant and sizes, or the step.
    pub case: String,
    /// Seconds before and now.
    pub seconds: [f64; 2],
    /// Seconds now over seconds before.
    pub ratio: f64,
    /// What the ratio may be off by without any change.
    pub uncertainty: f64,
}

impl Change {
    /// Whether the ratio differs from 1 by more than its uncertainty, on a logarithmic scale: twice as slow one way round is
    /// twice as fast the other.
    pub fn is_real(&self) -> bool {
        self.ratio.ln().abs() > self.uncertainty / self.ratio
    }

    /// Whether it is slower by more than this share, and by more than its noise.
    pub fn is_slower_by(&self, share: f64) -> bool {
        self.is_real() && self.ratio > 1.0 + share
    }
}

/// A time with its relative uncertainty, and what it is the time of.
///
/// That is the whole spread of its samples and not the narrower interval of their median: what disturbs a machine lasts for
/// many samples, so that two runs differ as two stretches of one run do.
struct Entry {
    adapter: String,
    case: String,
    seconds: f64,
    uncertainty: f64,
}

fn entries(report: &Report) -> Vec<Entry> {
    let mut entries = Vec::new();
    for measured in &report.adapters {
        // Driver versions are what one compares, so they do not tell adapters apart.
        let adapter = format!("{} {}", measured.adapter.name, measured.adapter.backend.name());
        let dispatch_seconds = measured.peaks.map_or(0.0, |peaks| peaks.dependent_dispatch_seconds);
        entries.extend(measured.kernels.iter().map(|row| Entry {
            adapter: adapter.clone(),
            case: row.case.clone(),
            seconds: row.timing.median_seconds,
            uncertainty: row.timing.spread + NOISE_OF_A_DISPATCH * dispatch_seconds / row.timing.median_seconds,
        }));
        entries.extend(measured.steps.iter().map(|step| {
            let precision = if step.precision == Precision::F16 { " in f16" } else { "" };
            let case = format!("{:?} step{precision}, batch {}: {}", step.kind, step.batch_size, step.model);
            let (seconds, uncertainty) = (step.step_seconds, step.spread);
            Entry { adapter: adapter.clone(), case: case.to_lowercase(), seconds, uncertainty }
        }));
    }
    entries
}

/// Each kernel and step that stands in both reports, the greatest change first.
///
/// Where each report has one adapter only, these are compared whatever they are.
pub fn compare(before: &Report, now: &Report) -> Vec<Change> {
    let across = before.adapters.len() == 1 && now.adapters.len() == 1;
    let old = entries(before);
    let mut changes = Vec::new();
    for new in entries(now) {
        let is_same = |old: &&Entry| old.case == new.case && (across || old.adapter == new.adapter);
        let Some(old) = old.iter().find(is_same) else { continue };
        let ratio = new.seconds / old.seconds;
        let noise = [old.uncertainty, new.uncertainty, NOISE_BETWEEN_RUNS];
        let relative = noise.iter().map(|part| part * part).sum::<f64>().sqrt();
        changes.push(Change {
            adapter: new.adapter,
            case: new.case,
            seconds: [old.seconds, new.seconds],
            ratio,
            uncertainty: ratio * relative,
        });
    }
    changes.sort_by(|a, b| b.ratio.ln().abs().total_cmp(&a.ratio.ln().abs()));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(ratio: f64) -> Change {
        Change { adapter: String::new(), case: String::new(), seconds: [1.0, ratio], ratio, uncertainty: 0.1 * ratio }
    }

    #[test]
    fn only_what_exceeds_its_noise_has_changed() {
        assert!(!change(1.05).is_real() && !change(0.95).is_real());
        assert!(change(1.2).is_real() && change(0.8).is_real());
        let rough = |ratio: f64| Change { uncertainty: 0.5 * ratio, ..change(ratio) };
        assert!(
            !rough(1.6).is_real() && !rough(1.0 / 1.6).is_real() && rough(1.7).is_real() && rough(1.0 / 1.7).is_real()
        );
        assert!(change(1.2).is_slower_by(0.1) && !change(1.2).is_slower_by(0.3) && !change(0.5).is_slower_by(0.1));
    }
}
