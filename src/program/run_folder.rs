//! A run's folder: the model, the metrics, and everything needed to repeat the run.
//!
//! `run.json` is written when the run starts and again, with its result, when it ends. Each line of `metrics.jsonl` is
//! a JSON object with a `kind`: a [`MetricsRow`]. `epochs.csv` repeats the epochs for spreadsheets, and
//! `predictions.csv` has the probabilities of each test image. Checkpoints are there from which the run can go on, and
//! `run.lock`, which the process that trains holds.

use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::data::{DataRecord, Task};
use crate::date::now;
use crate::figures::EpochRow;
use crate::files::write_atomically;
use crate::gpu::AdapterInfo;
use crate::metrics::prediction;
use crate::model::Model;
use crate::program::files::Lock;
use crate::ranks::RankReport;
use crate::tensor::HostTensor;
use crate::weights::{self, MODEL_FILE, Origin};
use crate::words::Word;

mod checkpoints;
mod rows;
mod settings;

pub use checkpoints::{Progress, RunCheckpoint, note};
pub use rows::{MetricsRow, StepRow, TestRow, best_epoch};
pub use settings::Settings;

/// The file of a run's record.
pub const RECORD_FILE: &str = "run.json";

/// Everything needed to repeat a run, and its result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    /// The command that repeats the run: every option with its resolved value, except for the run's folder.
    pub command: Vec<Word>,
    /// Version of gpu-digits.
    pub version: String,
    /// The commit that it was built from, if any.
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
    /// The kernels of a training step in order, each with its variant.
    #[serde(default)]
    pub kernels: Vec<String>,
    /// Seed of initial weights, shuffling, dropout and generated digits.
    pub seed: u64,
    /// The settings, defaults filled in.
    pub settings: Settings,
    /// The data.
    pub data: DataRecord,
    /// The result; none during the run.
    pub result: Option<RunResult>,
}

impl RunRecord {
    /// Loads the record of a run from its folder; none if there is no `run.json`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(RECORD_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let record = crate::json::parse(&text);
        record.map(Some).with_context(|| format!("{} is damaged; remove it, or train again", path.display()))
    }
}

/// The result of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunResult {
    /// Whether it was interrupted before its last step.
    pub interrupted: bool,
    /// Steps trained.
    pub steps: usize,
    /// The start-up times, up to the end of the first step; none in runs of older versions.
    #[serde(default)]
    pub start_up: Option<StartUp>,
    /// Seconds of training after the first step, without evaluation.
    pub training_seconds: f64,
    /// Test accuracy, from 0 to 1; none if the run was interrupted.
    pub test_accuracy: Option<f64>,
    /// SHA-256 of the weights.
    pub weights_sha256: String,
    /// What each rank did and waited in this process's part of the run; empty of a run without ranks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<RankReport>,
}

/// The seconds of each part of a run's start, up to the end of the first step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StartUp {
    /// Opening the device, and comparing it with the CPU; in a sweep only the latter, because its runs share the
    /// device.
    pub device_seconds: f64,
    /// Loading the data, possibly from the network; 0 in a sweep.
    pub data_seconds: f64,
    /// Allocating memory, compiling kernels, and uploading data and weights.
    pub executor_seconds: f64,
    /// The first step on the device and on the CPU, to compare them; 0 in files of earlier versions.
    #[serde(default)]
    pub self_test_seconds: f64,
    /// The first step. Some drivers compile kernels when they first run: in the self-test, or without one in this step.
    pub first_step_seconds: f64,
}

impl fmt::Display for StartUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device_seconds, data_seconds, executor_seconds, self_test_seconds, first_step_seconds } = self;
        let all = device_seconds + data_seconds + executor_seconds + self_test_seconds + first_step_seconds;
        write!(
            f,
            "first step {all:.2} s after the start: device {device_seconds:.2} s, data {data_seconds:.2} s, memory and \
             kernels {executor_seconds:.2} s, self-test {self_test_seconds:.2} s, the step {first_step_seconds:.2} s"
        )
    }
}

/// The best model on the validation images so far.
const BEST_FILE: &str = "best.safetensors";

/// An open run folder. No other process trains in it.
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
    _lock: Lock,
}

impl RunFolder {
    /// Makes the folder, which must not hold a run yet. Without a path it is in `runs/`, named after the time.
    ///
    /// # Errors
    /// If it cannot be made, holds a run, or another process trains in it.
    pub fn create(path: Option<&Path>) -> Result<Self> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => Self::make_new()?,
        };
        let cannot = || format!("cannot make the run folder {}; give another with --out", path.display());
        fs::create_dir_all(&path).with_context(cannot)?;
        let lock = Self::lock(&path)?;
        // Another process may have trained in it since the start of this one.
        Self::ensure_free(&path)?;
        Self::with_lock(path, lock)
    }

    /// Opens the folder of a run to go on with it, and removes what the process before may have left half written.
    ///
    /// # Errors
    /// If another process trains in it, or it cannot be written to.
    pub fn reopen(path: &Path) -> Result<Self> {
        let folder = Self::with_lock(path.to_owned(), Self::lock(path)?)?;
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "partial") {
                // What cannot be removed stays; it is never read.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(folder)
    }

    fn lock(path: &Path) -> Result<Lock> {
        let lock = Lock::try_take(&path.join("run.lock"))?;
        lock.with_context(|| {
            format!("another process trains in {}; wait until it ends, or give another folder", path.display())
        })
    }

    fn with_lock(path: PathBuf, lock: Lock) -> Result<Self> {
        let metrics =
            File::options().append(true).create(true).open(path.join("metrics.jsonl")).with_context(|| {
                format!("cannot write to the run folder {}; give another with --out", path.display())
            })?;
        Ok(Self { path, metrics, _lock: lock })
    }

    /// Makes a folder under `runs/` named after the time, with a number if another run began in the same second.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make_new() -> Result<PathBuf> {
        let (runs, time) = (Path::new("runs"), now().replace(':', "-"));
        let cannot = "cannot make a run folder under runs/; give one with --out";
        fs::create_dir_all(runs).context(cannot)?;
        let names = std::iter::once(time.clone()).chain((2..).map(|number| format!("{time}-{number}")));
        for path in names.map(|name| runs.join(name)) {
            match fs::create_dir(&path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).context(cannot),
            }
        }
        unreachable!("there is no last number")
    }

    /// Refuses a folder that holds a run, finished or not.
    ///
    /// # Errors
    /// If the folder holds a run.
    pub fn ensure_free(path: &Path) -> Result<()> {
        let name = path.display();
        ensure!(
            !path.join(MODEL_FILE).exists(),
            "{name} already holds a run, which is not overwritten; give another folder with --out, or remove it"
        );
        ensure!(
            !path.join(RECORD_FILE).exists(),
            "{name} already holds a run that is not finished; go on with it by --resume {name}, give another folder with --out, \
             or remove it"
        );
        Ok(())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_record(&self, record: &RunRecord) -> Result<()> {
        let mut text = serde_json::to_string_pretty(record)?;
        text.push('\n');
        write_atomically(&self.path.join(RECORD_FILE), text.as_bytes())
    }

    /// Empties `metrics.jsonl`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn clear_metrics(&self) -> Result<()> {
        self.metrics.set_len(0).with_context(|| format!("cannot write the metrics in {}", self.path.display()))
    }

    /// Appends a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append_metrics(&mut self, row: &MetricsRow) -> Result<()> {
        let mut line = serde_json::to_string(row)?;
        line.push('\n');
        self.metrics
            .write_all(line.as_bytes())
            .with_context(|| format!("cannot write the metrics in {}; check the free space", self.path.display()))
    }

    /// Writes `epochs.csv`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_epochs(&self, epochs: &[EpochRow]) -> Result<()> {
        let mut table = csv::Writer::from_writer(Vec::new());
        let parameters = epochs.first().map_or(&[][..], |epoch| &epoch.norms);
        let norms = parameters.iter().flat_map(|norms| {
            let name = &norms.parameter;
            [format!("{name}.norm"), format!("{name}.grad.norm")]
        });
        let columns = [
            "epoch",
            "step",
            "loss",
            "accuracy",
            "validation_loss",
            "validation_accuracy",
            "seconds",
            "images_per_second",
            "learning_rate",
        ];
        table.write_record(columns.map(str::to_owned).into_iter().chain(norms))?;
        for row in epochs {
            let optional = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
            let values = [
                row.epoch.to_string(),
                row.step.to_string(),
                row.loss.to_string(),
                row.accuracy.to_string(),
                optional(row.validation_loss),
                optional(row.validation_accuracy),
                row.seconds.to_string(),
                row.images_per_second.to_string(),
                row.learning_rate.to_string(),
            ];
            let norms = row.norms.iter().flat_map(|norms| [norms.value.to_string(), norms.gradient.to_string()]);
            table.write_record(values.into_iter().chain(norms))?;
        }
        write_atomically(&self.path.join("epochs.csv"), &table.into_inner()?)
    }

    /// Writes `predictions.csv`: index in the test set, and the names of the label and of the prediction, and the probability
    /// of each class: `p3` or, if classes have names of their own, by name.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_predictions(&self, task: &Task, labels: &[u16], probabilities: &[Vec<f32>]) -> Result<()> {
        let mut table = csv::Writer::from_writer(Vec::new());
        let before = if task.class_names().is_none() { "p" } else { "" };
        let classes = (0..task.classes()).map(|class| format!("{before}{}", task.class_name(class)));
        table.write_record(["image", "label", "prediction"].map(str::to_owned).into_iter().chain(classes))?;
        for (image, (&label, row)) in labels.iter().zip(probabilities).enumerate() {
            let [label, prediction] = [label.into(), prediction(row)].map(|class| task.class_name(class).into_owned());
            let known = [image.to_string(), label, prediction];
            table.write_record(known.into_iter().chain(row.iter().map(f32::to_string)))?;
        }
        write_atomically(&self.path.join("predictions.csv"), &table.into_inner()?)
    }

    /// The file of the best model on the validation images so far.
    pub fn best_path(&self) -> PathBuf {
        self.path.join(BEST_FILE)
    }

    /// Saves a model as the best one on the validation images so far.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save_best(&self, model: &Model, parameters: &[HostTensor], record: &RunRecord) -> Result<()> {
        weights::save(&self.best_path(), model, parameters, origin(record))
    }

    /// Saves the model and returns its path.
    ///
    /// # Errors
    /// If it cannot be written. It is then kept in the folder for temporary files, if there is space, and the error
    /// says where.
    pub fn save_model(&self, model: &Model, parameters: &[HostTensor], record: &RunRecord) -> Result<PathBuf> {
        let save = |path: &Path| weights::save(path, model, parameters, origin(record));
        let path = self.path.join(MODEL_FILE);
        // Where the disk is full, the model is worth more than the last checkpoint but one.
        let save_anyway = || checkpoints::remove_older(&self.path, usize::MAX, 1).and_then(|()| save(&path));
        let saved = save(&path).or_else(|error| save_anyway().map_err(|_| error));
        let Err(error) = saved else { return Ok(path) };
        let elsewhere = std::env::temp_dir().join(format!("gpu-digits-{}.safetensors", std::process::id()));
        Err(match save(&elsewhere) {
            Ok(()) => error
                .context(format!("the trained model is not in its run folder but in {}; keep it", elsewhere.display())),
            Err(_) => error.context(format!(
                "the trained model is lost: there is no space for it in {} either",
                std::env::temp_dir().display()
            )),
        })
    }
}

fn origin(record: &RunRecord) -> Origin<'_> {
    Origin { seed: record.seed, data: Some(&record.data) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageShape;
    use crate::figures::Norms;
    use crate::json::tests::{HARD, HARD_SINGLE, comes_back};
    use crate::plan::Precision;

    #[test]
    fn a_run_and_its_metrics_come_back_to_the_bit() {
        for value in HARD {
            comes_back(&StepRow { step: 1, epoch: 1, loss: value, learning_rate: HARD_SINGLE });
            comes_back(&TestRow { loss: value, accuracy: value / 3.0, images: 5 });
            comes_back(&Norms { parameter: "conv1.weight".to_owned(), value, gradient: 1.0 / value });
            comes_back(&StartUp { device_seconds: value, first_step_seconds: value / 7.0, ..StartUp::default() });
        }
    }

    #[test]
    fn of_runs_that_begin_at_once_in_a_folder_one_has_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("run");
        let folders: Vec<Result<RunFolder>> = std::thread::scope(|scope| {
            let make = || RunFolder::create(Some(&path));
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(folders.iter().filter(|folder| folder.is_ok()).count(), 1);
        for error in folders.iter().filter_map(|folder| folder.as_ref().err()) {
            assert!(error.to_string().contains("another process trains in"), "{error}");
        }
    }

    #[test]
    fn a_run_that_is_not_finished_is_gone_on_with_or_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("run");
        let folder = RunFolder::create(Some(&path)).unwrap();
        folder.write_record(&record()).unwrap();
        assert!(RunFolder::reopen(&path).is_err(), "two processes have it");
        drop(folder);
        let error = RunFolder::create(Some(&path)).err().unwrap().to_string();
        assert!(error.contains("not finished") && error.contains("--resume"), "{error}");
        fs::write(path.join("model.safetensors.7.partial"), "half").unwrap();
        drop(RunFolder::reopen(&path).unwrap());
        assert!(!path.join("model.safetensors.7.partial").exists() && path.join(RECORD_FILE).exists());
    }

    #[test]
    fn a_model_that_its_folder_cannot_hold_is_kept_elsewhere() {
        let home = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(Some(&home.path().join("run"))).unwrap();
        fs::remove_dir_all(folder.path()).unwrap();
        let model: Model = "flatten, dense 10".parse().unwrap();
        let parameters = model.initial_parameters(0);
        let error = format!("{:#}", folder.save_model(&model, &parameters, &record()).unwrap_err());
        let path = error.split(" but in ").nth(1).and_then(|rest| rest.split("; keep it").next()).unwrap();
        let kept = weights::load(Path::new(path)).unwrap();
        fs::remove_file(path).unwrap();
        assert_eq!(kept.parameters, parameters);
        assert!(error.contains("cannot write"), "{error}");
    }

    pub(super) fn record() -> RunRecord {
        RunRecord {
            command: vec![],
            version: String::new(),
            commit: String::new(),
            started: now(),
            platform: String::new(),
            device: String::new(),
            adapter: None,
            model: "flatten, dense 10".to_owned(),
            kernels: vec![],
            seed: 0,
            settings: Settings {
                epochs: 1,
                batch_size: 1,
                micro_batches: 8,
                sync_every: Some(4),
                optimizer: String::new(),
                precision: Precision::F32,
                learning_rate: 0.1,
                schedule: String::new(),
                augment: "none".to_owned(),
                label_smoothing: 0.0,
                clip_norm: None,
                average: None,
                frozen: vec![],
                shuffle: true,
                validation: 0,
                generated: 0,
                initial_weights_sha256: String::new(),
            },
            data: DataRecord {
                name: "digits".to_owned(),
                origin: "here".to_owned(),
                sha256: "00".to_owned(),
                image: ImageShape::MNIST,
                classes: 10,
                class_names: None,
                pixels: None,
                train_images: 1,
                test_images: 1,
                held_out: false,
                folder: None,
            },
            result: None,
        }
    }
}
