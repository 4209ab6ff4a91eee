//! Matches the cases of two reports, and lists unmatched cases and other differences.

use std::collections::HashMap;

use super::report::{AdapterReport, Report};
use super::steps::Kind;
use crate::gpu::AdapterInfo;
use crate::plan::Precision;

/// The scope of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One kernel.
    Kernel,
    /// A whole training step or inference.
    Step(Kind),
    /// The geometric mean of an adapter's kernels.
    AllKernels,
}

/// The time of a case in one report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured {
    /// Median seconds.
    pub(super) seconds: f64,
    /// Interquartile range of the samples, over the median; none for a single sample.
    pub(super) spread: Option<f64>,
    /// Samples.
    pub(super) samples: usize,
    /// The overhead of a dispatch; 0 if it is unknown or does not matter.
    pub(super) dispatch_seconds: f64,
}

/// A case of both reports.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) adapter: String,
    pub(super) case: String,
    pub(super) scope: Scope,
    pub(super) before: Measured,
    pub(super) now: Measured,
    /// By how much the machine itself differed between the two reports; see [`machine_shift`].
    pub(super) machine_shift: f64,
}

impl Pair {
    /// Seconds before and now.
    pub(super) fn seconds(&self) -> [f64; 2] {
        [self.before.seconds, self.now.seconds]
    }

    /// The logarithm of the seconds now over those before.
    pub(super) fn log_ratio(&self) -> f64 {
        (self.now.seconds / self.before.seconds).ln()
    }
}

/// Two reports side by side.
#[derive(Clone, Debug, Default)]
pub(super) struct Matching {
    pub(super) pairs: Vec<Pair>,
    /// Cases that only the first report has.
    pub(super) missing: Vec<String>,
    /// Cases that only the second report has.
    pub(super) added: Vec<String>,
    /// Cases with an impossible time: zero, negative or not a number.
    pub(super) unusable: Vec<String>,
    /// Differences between the two other than the times.
    pub(super) warnings: Vec<String>,
}

impl Matching {
    /// Whether all is the same to the bit, which two measurements never are.
    pub(super) fn is_one_measurement(&self) -> bool {
        self.missing.is_empty() && self.added.is_empty() && self.pairs.iter().all(|pair| pair.before == pair.now)
    }
}

struct Entry {
    case: String,
    scope: Scope,
    measured: Measured,
}

/// The cases of an adapter.
fn entries(report: &AdapterReport) -> Vec<Entry> {
    let dispatch_seconds = report.peaks.map(|peaks| peaks.dependent_dispatch_seconds);
    let dispatch_seconds = dispatch_seconds.filter(|seconds| seconds.is_finite()).unwrap_or(0.0);
    let kernels = report.kernels.iter().map(|row| {
        let timing = &row.timing;
        let (seconds, samples) = (timing.median_seconds, timing.samples);
        let measured = Measured { seconds, spread: timing.spread, samples, dispatch_seconds };
        Entry { case: row.case.clone(), scope: Scope::Kernel, measured }
    });
    let steps = report.steps.iter().map(|step| {
        let precision = if step.precision == Precision::F16 { " in f16" } else { "" };
        let case = format!("{:?} step{precision}, batch {}: {}", step.kind, step.batch_size, step.model).to_lowercase();
        let (seconds, samples) = (step.step_seconds, step.samples);
        let measured = Measured { seconds, spread: step.spread, samples, dispatch_seconds: 0.0 };
        Entry { case, scope: Scope::Step(step.kind), measured }
    });
    let mut entries: Vec<Entry> = kernels.chain(steps).collect();
    // What was measured twice is compared in the order in which it was.
    let mut seen: HashMap<String, usize> = HashMap::new();
    for entry in &mut entries {
        let times = seen.entry(entry.case.clone()).or_default();
        *times += 1;
        if *times > 1 {
            entry.case = format!("{} #{times}", entry.case);
        }
    }
    entries
}

/// Keys of the adapters of a report: their identities, or their names in files of earlier versions, with a number among
/// equal ones. Driver versions are not part of the key, because they are what users compare.
fn keys(report: &Report, by_name: bool) -> Vec<(String, usize)> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let key = |AdapterReport { adapter, .. }: &AdapterReport| {
        let identity =
            if by_name { format!("{} {}", adapter.name, adapter.backend.name()) } else { adapter.id.clone() };
        let count = seen.entry(identity.clone()).or_default();
        *count += 1;
        (identity, *count)
    };
    report.adapters.iter().map(key).collect()
}

/// Matches the cases of two reports. If each has a single adapter, the two adapters are matched even if they differ.
pub(super) fn match_reports(before: &Report, now: &Report) -> Matching {
    let mut matching = Matching::default();
    if before.platform != now.platform {
        matching.warnings.push(format!("the platforms differ: {}, then {}", before.platform, now.platform));
    }
    let by_name = before.adapters.iter().chain(&now.adapters).any(|measured| measured.adapter.id.is_empty());
    let (old_keys, new_keys) = (keys(before, by_name), keys(now, by_name));
    let is_single = old_keys.len() == 1 && new_keys.len() == 1;
    let several = old_keys.len().max(new_keys.len()) > 1;
    for (old, key) in before.adapters.iter().zip(&old_keys) {
        let index = if is_single { Some(0) } else { new_keys.iter().position(|other| other == key) };
        let title = title(&old.adapter, several);
        match index {
            Some(index) => match_adapters(&title, old, &now.adapters[index], &mut matching),
            None => matching.missing.extend(entries(old).into_iter().map(|entry| named(&title, &entry.case))),
        }
    }
    if !is_single {
        for (new, _) in now.adapters.iter().zip(&new_keys).filter(|(_, key)| !old_keys.contains(key)) {
            let title = title(&new.adapter, several);
            matching.added.extend(entries(new).into_iter().map(|entry| named(&title, &entry.case)));
        }
    }
    matching
}

/// The name of an adapter beside its cases; empty if it is the only one.
fn title(info: &AdapterInfo, several: bool) -> String {
    if several { format!("{}: {} {}", info.index, info.name, info.backend.name()) } else { String::new() }
}

fn named(adapter: &str, case: &str) -> String {
    if adapter.is_empty() { case.to_owned() } else { format!("{case} ({adapter})") }
}

fn match_adapters(title: &str, before: &AdapterReport, now: &AdapterReport, matching: &mut Matching) {
    matching.warnings.extend(differences(&before.adapter, &now.adapter));
    let (old, new) = (entries(before), entries(now));
    let machine_shift = machine_shift(before, now);
    for old in &old {
        let Some(new) = new.iter().find(|new| new.case == old.case) else {
            matching.missing.push(named(title, &old.case));
            continue;
        };
        let is_time = |seconds: f64| seconds.is_finite() && seconds > 0.0;
        if !is_time(old.measured.seconds) || !is_time(new.measured.seconds) {
            matching.unusable.push(named(title, &old.case));
            continue;
        }
        matching.pairs.push(Pair {
            adapter: title.to_owned(),
            case: old.case.clone(),
            scope: old.scope,
            before: old.measured,
            now: new.measured,
            machine_shift,
        });
    }
    let is_added = |new: &&Entry| old.iter().all(|old| old.case != new.case);
    matching.added.extend(new.iter().filter(is_added).map(|new| named(title, &new.case)));
    let clock = |report: &AdapterReport| report.kernels.first().map(|row| row.timing.clock);
    if let (Some(old), Some(new)) = (clock(before), clock(now))
        && old != new
    {
        matching.warnings.push(format!("the clocks differ: {}, then {}", old.name(), new.name()));
    }
}

/// The differences between two compared adapters.
fn differences(before: &AdapterInfo, now: &AdapterInfo) -> Vec<String> {
    let parts = [
        ("adapters", before.name.clone(), now.name.clone()),
        ("backends", before.backend.name().to_owned(), now.backend.name().to_owned()),
        ("drivers", before.driver_and_version(), now.driver_and_version()),
    ];
    let different = parts.into_iter().filter(|(_, before, now)| before != now);
    different.map(|(what, before, now)| format!("the {what} differ: {before}, then {now}")).collect()
}

/// The change in speed of the machine itself between two reports of the same adapter and driver, on a logarithmic
/// scale. It is the change of the peaks, which are measured by kernels that stay the same.
fn machine_shift(before: &AdapterReport, now: &AdapterReport) -> f64 {
    let (Some(old), Some(new)) = (before.peaks, now.peaks) else { return 0.0 };
    if !differences(&before.adapter, &now.adapter).is_empty() {
        return 0.0;
    }
    let rates = [(old.flops_per_second, new.flops_per_second), (old.bytes_per_second, new.bytes_per_second)];
    let shifts = rates.map(|(old, new)| (new / old).ln().abs());
    shifts.into_iter().filter(|shift| shift.is_finite()).fold(0.0, f64::max)
}
