//! The results of a benchmark, which `--json` writes and `bench compare` reads.
//!
//! The schema is versioned by [`SCHEMA`]; a field may be added within a version, never removed or changed in meaning.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::measure::Timing;
use super::peaks::{Binding, Peaks};
use super::short_training::{ShortTraining, train_shortly};
use super::steps::StepTiming;
use crate::arithmetic::Answer;
use crate::date::now;
use crate::gpu::{AdapterInfo, Gpu};
use crate::host::platform;
use crate::json;
use crate::verify::{Tally, self_test};
use crate::words::Word;

/// Version of the schema.
pub const SCHEMA: u32 = 1;

/// A benchmark.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of gpu-digits.
    pub version: String,
    /// The commit that it was built from, if any.
    pub commit: String,
    /// Version of wgpu.
    pub wgpu: String,
    /// When it began, in UTC.
    pub date: String,
    /// Operating system and processor architecture.
    pub platform: String,
    /// The words of the command.
    pub command: Vec<Word>,
    /// The results of each adapter.
    pub adapters: Vec<AdapterReport>,
}

/// The results of one adapter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AdapterReport {
    /// The adapter and its driver.
    pub adapter: AdapterInfo,
    /// How it computes, to explain differences between machines; empty in files of earlier versions.
    #[serde(default)]
    pub arithmetic: Vec<Answer>,
    /// The checks that it passed in the same process; none in files of earlier versions.
    #[serde(default)]
    pub verified: Option<Tally>,
    /// What it makes of a fixed short training, which is the same to the bit wherever the same kernels and driver run; none in
    /// files of earlier versions.
    #[serde(default)]
    pub training: Option<ShortTraining>,
    /// Clocks of the device, as far as the system tells them: `name: value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clocks: Vec<String>,
    /// Its peaks; none if only steps were measured.
    pub peaks: Option<Peaks>,
    /// A row for each kernel.
    #[serde(default)]
    pub kernels: Vec<KernelRow>,
    /// Whole training steps or inferences.
    #[serde(default)]
    pub steps: Vec<StepTiming>,
}

/// A kernel and its time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KernelRow {
    /// The op.
    pub op: String,
    /// Variant and sizes; `bench` accepts the same text.
    pub case: String,
    /// The word after the dot in the shader's name, `plain` without one.
    pub variant: String,
    /// The layers that call it in a training step, once for each call; empty outside of a model.
    pub layers: Vec<String>,
    /// Whether the training step uses this variant.
    pub is_chosen: bool,
    /// Floating-point operations of a dispatch.
    pub flops: u64,
    /// Bytes of its operands, each touched once.
    pub bytes: u64,
    /// Its time.
    pub timing: Timing,
    /// The least time that the peaks allow, over its median.
    pub bound_share: f64,
    /// Which peak that is.
    pub binding: Binding,
}

impl KernelRow {
    /// Its short name if its layers are known, otherwise the whole case.
    pub fn name(&self) -> &str {
        if self.layers.is_empty() { &self.case } else { self.case.split(':').next().unwrap_or(&self.case) }
    }

    /// Its sizes, as `bench` takes them back.
    pub fn sizes(&self) -> &str {
        self.case.split_once(':').map_or("", |(_, sizes)| sizes)
    }

    /// Seconds that it takes of a training step.
    pub fn step_seconds(&self) -> f64 {
        if self.is_chosen { self.layers.len() as f64 * self.timing.median_seconds } else { 0.0 }
    }
}

/// The names of kernels. Where kernels of other sizes have the same name, the sizes that differ follow it.
pub fn told_apart(rows: &[&KernelRow], name: impl Fn(&KernelRow) -> String) -> Vec<String> {
    let names: Vec<(String, &str)> = rows.iter().map(|row| (name(row), row.sizes())).collect();
    let with_sizes = |(name, sizes): &(String, &str)| {
        let has = |sizes: &str, size: &str| sizes.split(',').any(|other| other == size);
        let differs = |size: &&str| names.iter().any(|(other, sizes)| other == name && !has(sizes, size));
        let differing = sizes.split(',').filter(differs);
        std::iter::once(name.as_str()).chain(differing).collect::<Vec<_>>().join(", ")
    };
    names.iter().map(with_sizes).collect()
}

impl Report {
    /// An empty report of this program, now.
    pub fn new() -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: crate::COMMIT.to_owned(),
            wgpu: env!("GPU_DIGITS_WGPU").to_owned(),
            date: now(),
            platform: platform(),
            command: std::env::args_os().map(Word::from).collect(),
            adapters: vec![],
        }
    }

    /// Reads a report.
    ///
    /// # Errors
    /// If the file cannot be read, is not a report, or has another schema.
    pub fn load(path: &Path) -> Result<Self> {
        let name = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the report {name}"))?;
        let mut report: Self = json::parse_versioned(&text, SCHEMA, "measure again")
            .with_context(|| format!("{name} is not a report of `bench --json`"))?;
        report.adapters.iter_mut().for_each(AdapterReport::forget_what_cannot_be);
        Ok(report)
    }
}

impl AdapterReport {
    /// A report without times.
    pub fn new(gpu: &Gpu) -> Self {
        Self {
            adapter: gpu.info().clone(),
            arithmetic: vec![],
            verified: None,
            training: None,
            clocks: vec![],
            peaks: None,
            kernels: vec![],
            steps: vec![],
        }
    }

    /// The same for others to judge: it also says whether the adapter computes rightly, and what it makes of the short
    /// training.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn for_others(gpu: &Gpu) -> Result<Self> {
        let checks = self_test(gpu).await;
        let verified = Some(checks.iter().map(|check| &check.outcome).collect());
        Ok(Self { verified, training: Some(train_shortly(gpu).await?), ..Self::new(gpu) })
    }

    /// Adds the times of kernels, each of which was verified before it was timed.
    pub fn add_kernels(&mut self, peaks: Peaks, kernels: Vec<KernelRow>) {
        if let Some(verified) = &mut self.verified {
            verified.passed += kernels.len();
        }
        self.peaks = Some(peaks);
        self.kernels = kernels;
    }
}

/// Seconds that a kernel or a step may take.
const TIMES: std::ops::Range<f64> = 1e-12..1e9;

impl AdapterReport {
    /// Makes times and rates that no machine has into NaN, which is shown as no number and compared with nothing; files
    /// come from other programs and other versions. These wrote a spread of 0 for a single sample, which is none.
    fn forget_what_cannot_be(&mut self) {
        let forget = |value: &mut f64, can_be: bool| {
            if !can_be {
                *value = f64::NAN;
            }
        };
        let spread_of =
            |spread: Option<f64>, samples| spread.filter(|spread| samples > 1 && (0.0..1e3).contains(spread));
        for row in &mut self.kernels {
            let timing = &mut row.timing;
            let is_time = TIMES.contains(&timing.median_seconds);
            forget(&mut timing.median_seconds, is_time);
            timing.spread = spread_of(timing.spread, timing.samples);
            timing.uncertainty = spread_of(timing.uncertainty, timing.samples);
        }
        for step in &mut self.steps {
            let is_time = TIMES.contains(&step.step_seconds);
            forget(&mut step.step_seconds, is_time);
            forget(&mut step.images_per_second, is_time);
            step.spread = spread_of(step.spread, step.samples);
        }
        if let Some(peaks) = &mut self.peaks {
            let is_rate = |rate: f64| (1.0..1e24).contains(&rate);
            for rate in [&mut peaks.flops_per_second, &mut peaks.bytes_per_second] {
                forget(rate, is_rate(*rate));
            }
            for rate in [&mut peaks.f16_flops_per_second, &mut peaks.matrix_flops_per_second] {
                *rate = rate.filter(|rate| is_rate(*rate));
            }
            for time in [&mut peaks.dispatch_seconds, &mut peaks.dependent_dispatch_seconds, &mut peaks.submit_seconds]
            {
                forget(time, (0.0..TIMES.end).contains(time));
            }
        }
    }
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::tests::{HARD, comes_back};

    #[test]
    fn times_and_rates_that_no_machine_has_are_no_numbers() {
        for (value, can_be) in [(0.0, false), (-1.0, false), (1e300, false), (1e-300, false), (1e-3, true)] {
            let mut report: AdapterReport = serde_json::from_value(json!({
                "adapter": crate::gpu::AdapterInfo::example("card", crate::gpu::AdapterKind::Discrete),
                "peaks": {
                    "flops_per_second": 1e3 * value, "f16_flops_per_second": -1.0, "bytes_per_second": 1e3 * value,
                    "dispatch_seconds": 0.0, "dependent_dispatch_seconds": -1.0, "submit_seconds": 1.0,
                },
                "steps": [{
                    "kind": "train", "model": "dense 10", "batch_size": 1, "images_per_second": 1.0,
                    "step_seconds": value, "spread": value, "samples": 15, "host_seconds": 0.0,
                    "first_step_seconds": 1.0, "memory_bytes": 1, "dispatches": 1,
                }],
            }))
            .unwrap();
            report.forget_what_cannot_be();
            let (step, peaks) = (&report.steps[0], report.peaks.unwrap());
            assert_eq!((step.step_seconds.is_nan(), step.images_per_second.is_nan()), (!can_be, !can_be), "{value}");
            assert_eq!(peaks.flops_per_second.is_nan(), !can_be, "{value}");
            assert_eq!((peaks.f16_flops_per_second, peaks.dispatch_seconds), (None, 0.0));
            assert!(peaks.dependent_dispatch_seconds.is_nan());
            assert_eq!(step.spread.is_some(), (0.0..1e3).contains(&value), "{value}");
        }
    }

    #[test]
    fn results_come_back_to_the_bit() {
        let timing = json!({"clock": "wall", "median_seconds": 1, "min_seconds": 1, "spread": 1, "uncertainty": 1,
            "samples": 3, "repeats": 5, "warnings": []});
        let mut row: KernelRow = serde_json::from_value(json!({"op": "relu", "case": "relu.plain", "variant": "plain",
            "layers": [], "is_chosen": true, "flops": u64::MAX, "bytes": 1, "timing": timing, "bound_share": 1,
            "binding": Binding::Compute}))
        .unwrap();
        for value in HARD {
            row.timing.median_seconds = value;
            row.timing.spread = value.is_finite().then_some(value);
            row.bound_share = value / 3.0;
            comes_back(&row);
        }
    }
}
