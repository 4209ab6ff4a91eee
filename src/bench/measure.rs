//! The one routine with which `bench`, `cargo bench` and the tuner time kernels.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::statistics::{median_and_spread, median_uncertainty};
use crate::gpu::{AdapterKind, BoundKernel, Gpu, Lap, Stopwatch, bind_variant};
use crate::op::{Variant, variant_label};
use crate::ops::Case;
use crate::verify::{Example, Outcome, check_variant};

/// A kernel alternates between sets of tensors of this total size, so that it does not read everything from a cache.
const BYTES_OF_ALL_SETS: u64 = 64 << 20;

/// The most sets of tensors.
const MOST_SETS: u64 = 8;

/// The most dispatches of one sample.
const MOST_REPEATS: f64 = 4096.0;

/// A sample shorter than this is mostly overhead.
const SHORTEST_SAMPLE_SECONDS: f64 = 1e-3;

/// A short kernel gets more samples if the uncertainty of its median exceeds this.
const WANTED_UNCERTAINTY: f64 = 0.01;

/// The most samples of a short kernel, as a multiple of those of others.
const MORE_SAMPLES: usize = 4;

/// A spread above this is worth a warning.
const LARGE_SPREAD: f64 = 0.1;

/// The time to spend on a measurement.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// The target duration of a sample.
    pub sample_seconds: f64,
    /// Samples of a kernel.
    pub samples: usize,
}

impl Effort {
    /// Enough for a table.
    pub const DEFAULT: Self = Self { sample_seconds: 0.02, samples: 15 };
}

/// The clock that a time was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// The device's own timestamps.
    Gpu,
    /// The host's clock, over a long submission.
    Wall,
}

impl Clock {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpu => "the device's timestamps",
            Self::Wall => "the host's clock",
        }
    }
}

/// How long one dispatch takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The clock that measured it.
    pub clock: Clock,
    /// Median of the samples.
    pub median_seconds: f64,
    /// The fastest sample.
    pub min_seconds: f64,
    /// Interquartile range of the samples, over the median; none for a single sample.
    pub spread: Option<f64>,
    /// Half the width of the median's 95 % interval, over the median; none for a single sample.
    pub uncertainty: Option<f64>,
    /// Samples.
    pub samples: usize,
    /// The samples themselves, in order: seconds of a dispatch. Empty in files of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sample_seconds: Vec<f64>,
    /// Dispatches of each sample.
    pub repeats: usize,
    /// Reasons to doubt the time.
    pub warnings: Vec<String>,
}

/// A verified kernel, ready to be timed.
pub struct Subject {
    stopwatch: Stopwatch,
    kernels: Vec<BoundKernel>,
    repeats: usize,
    laps: Vec<Lap>,
    has_timestamps: bool,
    is_software: bool,
}

impl Subject {
    /// Verifies a kernel, binds it to enough sets of tensors, warms it up, and chooses the number of repeats of a
    /// sample.
    ///
    /// # Errors
    /// If the adapter cannot run the variant, or the variant is wrong: wrong kernels are not timed.
    pub async fn new(gpu: &Gpu, case: &Case, variant: &Variant, effort: Effort) -> Result<Self> {
        let example = Example::of(case);
        match check_variant(gpu, case, variant, &example).await {
            Outcome::Passed { .. } => {}
            Outcome::Failed { reason } | Outcome::Skipped { reason } => {
                bail!("cannot time `{}`: {reason}", variant_label(case.as_ref(), variant))
            }
        }
        let set_bytes: u64 = case.operands().iter().map(|operand| 4 * operand.words() as u64).sum();
        let sets = BYTES_OF_ALL_SETS.div_ceil(set_bytes.max(1)).clamp(1, MOST_SETS) as usize;
        let kernels = bind_variant(gpu, case.as_ref(), variant, example.inputs(), sets).await?;
        let stopwatch = Stopwatch::new(gpu).await?;
        // Drivers compile at the first dispatch.
        stopwatch.time(&kernels, kernels.len()).await?;
        let mut repeats = kernels.len();
        // A short submission is mostly overhead. Lengthen it until it shows the time of a dispatch.
        let repeats = loop {
            let seconds = stopwatch.time(&kernels, repeats).await?.wall_seconds;
            if seconds > effort.sample_seconds / 4.0 || repeats as f64 >= MOST_REPEATS {
                break (repeats as f64 * effort.sample_seconds / seconds).clamp(1.0, MOST_REPEATS).round() as usize;
            }
            repeats *= 4;
        };
        let is_software = gpu.info().kind == AdapterKind::Software;
        let has_timestamps = gpu.info().timestamps;
        Ok(Self { stopwatch, kernels, repeats, laps: vec![], has_timestamps, is_software })
    }

    /// Takes one sample.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn sample(&mut self) -> Result<()> {
        self.laps.push(self.stopwatch.time(&self.kernels, self.repeats).await?);
        Ok(())
    }

    /// Whether the kernel should get another sample.
    pub(super) fn wants_more(&self, effort: Effort) -> bool {
        let taken = self.laps.len();
        taken < effort.samples || (taken > 1 && is_worth_more(&self.timing(), effort))
    }

    /// Seconds of `repeats` dispatches.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn time(&self, repeats: usize) -> Result<f64> {
        let lap = self.stopwatch.time(&self.kernels, repeats).await?;
        Ok(lap.gpu_seconds.unwrap_or(lap.wall_seconds))
    }

    /// Summarises the samples.
    pub fn timing(&self) -> Timing {
        let is_timed_by_gpu = self.laps.iter().all(|lap| lap.gpu_seconds.is_some());
        let clock = if is_timed_by_gpu { Clock::Gpu } else { Clock::Wall };
        let gpu_seconds = |lap: &Lap| lap.gpu_seconds.filter(|_| is_timed_by_gpu);
        let seconds = |lap: &Lap| gpu_seconds(lap).unwrap_or(lap.wall_seconds) / self.repeats as f64;
        let sample_seconds: Vec<f64> = self.laps.iter().map(seconds).collect();
        let mut samples = sample_seconds.clone();
        samples.sort_by(f64::total_cmp);
        let (median, spread) = median_and_spread(&samples);
        let doubts = Doubts {
            spread,
            sample_seconds: median * self.repeats as f64,
            clock,
            has_timestamps: self.has_timestamps,
            is_software: self.is_software,
            is_debug: cfg!(debug_assertions),
        };
        let mut warnings = doubts.warnings();
        warnings.extend(self.stopwatch.clock_doubt().map(|doubt| format!("the device's clock is not used: {doubt}")));
        Timing {
            clock,
            median_seconds: median,
            min_seconds: samples.first().copied().unwrap_or(f64::NAN),
            spread,
            uncertainty: spread.map(|spread| median_uncertainty(spread, samples.len())),
            samples: samples.len(),
            sample_seconds,
            repeats: self.repeats,
            warnings,
        }
    }
}

/// Whether more samples would help and are cheap, because the kernel is so short that a sample holds several
/// dispatches.
fn is_worth_more(timing: &Timing, effort: Effort) -> bool {
    let is_uncertain = timing.uncertainty.is_some_and(|uncertainty| uncertainty > WANTED_UNCERTAINTY);
    is_uncertain && timing.repeats > 1 && timing.samples < MORE_SAMPLES * effort.samples
}

/// Possible reasons to doubt a time.
#[derive(Clone, Copy)]
struct Doubts {
    spread: Option<f64>,
    sample_seconds: f64,
    clock: Clock,
    has_timestamps: bool,
    is_software: bool,
    is_debug: bool,
}

impl Doubts {
    fn warnings(&self) -> Vec<String> {
        let limit = 100.0 * LARGE_SPREAD;
        let doubts = [
            (self.spread.is_none(), "a single sample, so its noise is unknown".to_owned()),
            (
                self.spread.is_some_and(|spread| spread > LARGE_SPREAD),
                format!("the samples spread by more than {limit:.0} %: the machine is not quiet"),
            ),
            (self.sample_seconds < SHORTEST_SAMPLE_SECONDS, "the kernel is too short to be timed well".to_owned()),
            (
                self.clock == Clock::Wall && self.has_timestamps,
                "the device's timestamps are implausible: they stand still, run backwards, or exceed the \
                 time that the host waited"
                    .to_owned(),
            ),
            (self.clock == Clock::Wall, "timed by the host's clock, including the cost of submission".to_owned()),
            (self.is_software, "a software adapter".to_owned()),
            (self.is_debug, "a debug build".to_owned()),
        ];
        doubts.into_iter().filter(|(holds, _)| *holds).map(|(_, warning)| warning).collect()
    }
}

/// Times one kernel.
///
/// # Errors
/// The same as for [`Subject::new`].
pub async fn measure(gpu: &Gpu, case: &Case, variant: &Variant, effort: Effort) -> Result<Timing> {
    let mut subject = Subject::new(gpu, case, variant, effort).await?;
    for _ in 0..effort.samples {
        subject.sample().await?;
    }
    Ok(subject.timing())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_kernels_that_are_uncertain_get_more_samples() {
        let timing = Timing {
            clock: Clock::Gpu,
            median_seconds: 1e-5,
            min_seconds: 1e-5,
            spread: Some(0.2),
            uncertainty: Some(0.08),
            samples: 15,
            sample_seconds: vec![],
            repeats: 2000,
            warnings: vec![],
        };
        let is_worth_more = |timing: Timing| is_worth_more(&timing, Effort::DEFAULT);
        assert!(is_worth_more(timing.clone()));
        assert!(!is_worth_more(Timing { uncertainty: Some(0.005), ..timing.clone() }), "certain");
        assert!(!is_worth_more(Timing { repeats: 1, ..timing.clone() }), "long");
        assert!(!is_worth_more(Timing { samples: 60, ..timing }), "enough");
    }

    #[test]
    fn each_doubt_is_said_and_no_other() {
        let none = Doubts {
            spread: Some(0.01),
            sample_seconds: 0.02,
            clock: Clock::Gpu,
            has_timestamps: false,
            is_software: false,
            is_debug: false,
        };
        assert_eq!(none.warnings(), Vec::<String>::new());
        let said = |doubts: Doubts, word: &str| {
            let warnings = doubts.warnings();
            assert!(warnings.len() == 1 && warnings[0].contains(word), "{word}: {warnings:?}");
        };
        said(Doubts { spread: Some(0.2), ..none }, "spread");
        said(Doubts { spread: None, ..none }, "a single sample");
        said(Doubts { sample_seconds: 1e-4, ..none }, "too short");
        said(Doubts { clock: Clock::Wall, ..none }, "host's clock");
        let wrong = Doubts { clock: Clock::Wall, has_timestamps: true, ..none }.warnings();
        assert!(wrong.len() == 2 && wrong[0].contains("implausible"), "{wrong:?}");
        said(Doubts { is_software: true, ..none }, "software");
        said(Doubts { is_debug: true, ..none }, "debug build");
    }
}
