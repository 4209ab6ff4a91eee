//! The results of a benchmark as data: what `--json` writes and `bench compare` reads.
//!
//! The schema is versioned by [`SCHEMA`]; a field may be added within a version, never removed or changed in meaning.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::measure::Timing;
use super::peaks::{Binding, Peaks};
use super::steps::StepTiming;
use crate::gpu::AdapterInfo;
use crate::json;
use crate::run_folder::now;
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
    /// The commit it was built from, where it was built from one.
    pub commit: String,
    /// Version of wgpu.
    pub wgpu: String,
    /// When it began, in UTC.
    pub date: String,
    /// Operating system and processor architecture.
    pub platform: String,
    /// The words of the command.
    pub command: Vec<Word>,
    /// What was measured on each adapter.
    pub adapters: Vec<AdapterReport>,
}

/// What was measured on one adapter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AdapterReport {
    /// The adapter and its driver.
    pub adapter: AdapterInfo,
    /// What it can do at most; none where only steps were measured.
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
    /// Variant and sizes; `bench` takes the same text back.
    pub case: String,
    /// The word after the dot in the shader's name, `plain` without one.
    pub variant: String,
    /// The layers that call it in a training step, each as often as it does; empty outside of a model.
    pub layers: Vec<String>,
    /// Whether the training step takes this variant.
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
    /// What it is called beside its layers, which tell the sizes; the whole case where there are none.
    pub fn name(&self) -> &str {
        if self.layers.is_empty() { &self.case } else { self.case.split(':').next().unwrap_or(&self.case) }
    }

    /// Seconds that it takes of a training step.
    pub fn step_seconds(&self) -> f64 {
        if self.is_chosen { self.layers.len() as f64 * self.timing.median_seconds } else { 0.0 }
    }
}

impl Report {
    /// An empty report of this program, now.
    pub fn new() -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: env!("GPU_DIGITS_COMMIT").to_owned(),
            wgpu: env!("GPU_DIGITS_WGPU").to_owned(),
            date: now(),
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            command: std::env::args_os().map(Word::from).collect(),
            adapters: vec![],
        }
    }

    /// Reads a report.
    ///
    /// # Errors
    /// Where the file cannot be read, is no report, or one of another schema.
    pub fn load(path: &Path) -> Result<Self> {
        let name = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the report {name}"))?;
        let mut report: Self = json::parse_versioned(&text, SCHEMA, "measure again")
            .with_context(|| format!("{name} is no report of `bench --json`"))?;
        report.forget_spreads_of_single_samples();
        Ok(report)
    }

    /// Older versions wrote a spread of 0 for a single sample, which is none.
    fn forget_spreads_of_single_samples(&mut self) {
        for adapter in &mut self.adapters {
            for row in adapter.kernels.iter_mut().filter(|row| row.timing.samples < 2) {
                (row.timing.spread, row.timing.uncertainty) = (None, None);
            }
            for step in adapter.steps.iter_mut().filter(|step| step.samples < 2) {
                step.spread = None;
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
