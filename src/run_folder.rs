//! A run's folder: the model, the metrics as they come, and everything needed to repeat the run.
//!
//! `run.json` is written when the run starts and again, with its result, when it ends. `metrics.jsonl` holds a JSON
//! object a line, told apart by `kind`: `step`, `epoch` and `test`.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::files::write_atomically;
use crate::gpu::AdapterInfo;
use crate::model::Model;
use crate::tensor::HostTensor;
use crate::weights;

/// The name of a saved model in its run folder.
pub const MODEL_FILE: &str = "model.safetensors";

/// What is needed to repeat a run, and its result.
#[derive(Clone, Debug, Serialize)]
pub struct RunRecord {
    /// The words of the command.
    pub command: Vec<String>,
    /// Version of gpu-digits.
    pub version: String,
    /// The commit it was built from, where it was built from one.
    pub commit: String,
    /// When the run started, in UTC.
    pub started: String,
    /// Operating system and processor architecture.
    pub platform: String,
    /// The device in words.
    pub device: String,
    /// The adapter with its driver; none on the CPU.
    pub adapter: Option<AdapterInfo>,
    /// The model's text form.
    pub model: String,
    /// Seed of initial weights, shuffling, dropout and generated digits.
    pub seed: u64,
    /// The settings, defaults filled in.
    pub settings: Settings,
    /// The data.
    pub data: DataRecord,
    /// What came of it; none while it runs.
    pub result: Option<RunResult>,
}

/// The settings of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images of a step.
    pub batch_size: usize,
    /// The optimizer and its numbers.
    pub optimizer: String,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// How it moves.
    pub schedule: String,
    /// Whether each epoch has an order of its own.
    pub shuffle: bool,
    /// Images held out.
    pub validation: usize,
    /// SHA-256 of the initial weights.
    pub initial_weights_sha256: String,
}

/// The data of a run.
#[derive(Clone, Debug, Serialize)]
pub struct DataRecord {
    /// `MNIST`, `generated digits` or the folder.
    pub name: String,
    /// The folder, or the generator's seed.
    pub origin: String,
    /// SHA-256 of the four unpacked files one after the other.
    pub sha256: String,
    /// Training images, with those held out.
    pub train_images: usize,
    /// Test images.
    pub test_images: usize,
}

/// What came of a run.
#[derive(Clone, Debug, Serialize)]
pub struct RunResult {
    /// Whether it was ended before its last step.
    pub interrupted: bool,
    /// Steps trained.
    pub steps: usize,
    /// Seconds of training, without evaluation.
    pub training_seconds: f64,
    /// Share of the test images recognised; none where the run was interrupted.
    pub test_accuracy: Option<f64>,
    /// SHA-256 of the weights.
    pub weights_sha256: String,
}

/// An open run folder.
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
}

impl RunFolder {
    /// Makes the folder, which must not hold a run yet; without a path, `runs/` and the time.
    ///
    /// # Errors
    /// Where it cannot be made, or holds a run.
    pub fn create(path: Option<&Path>) -> Result<Self> {
        let path = path.map_or_else(|| Path::new("runs").join(now().replace(':', "-")), Path::to_owned);
        let name = path.display();
        ensure!(
            !path.join("run.json").exists(),
            "{name} holds a run already, which is not overwritten; give another folder with --out, or remove it"
        );
        fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the run folder {name}; give another with --out"))?;
        let metrics = File::create(path.join("metrics.jsonl"))
            .with_context(|| format!("cannot write to the run folder {name}; give another with --out"))?;
        Ok(Self { path, metrics })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write_record(&self, record: &RunRecord) -> Result<()> {
        let mut text = serde_json::to_string_pretty(record)?;
        text.push('\n');
        write_atomically(&self.path.join("run.json"), text.as_bytes())
    }

    /// Appends a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn append_metrics(&mut self, row: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_string(row)?;
        line.push('\n');
        self.metrics
            .write_all(line.as_bytes())
            .with_context(|| format!("cannot write the metrics in {}; is there space?", self.path.display()))
    }

    /// Saves the model and gives its path.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn save_model(&self, model: &Model, parameters: &[HostTensor], seed: u64) -> Result<PathBuf> {
        let path = self.path.join(MODEL_FILE);
        weights::save(&path, model, parameters, seed)?;
        Ok(path)
    }
}

/// Date and time in UTC, to the second: `2026-11-23T08:11:22Z`.
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
