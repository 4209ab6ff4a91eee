//! Training in a page.

use std::ops::ControlFlow;

use anyhow::{Result, ensure};
use gpu_digits::data::{DataRecord, Dataset, GENERATED};
use gpu_digits::executor::Observer;
use gpu_digits::figures::{self, EpochRow, Figure, TestImage, thin_curve};
use gpu_digits::metrics::Evaluation;
use gpu_digits::plan::Refinements;
use gpu_digits::verify::{Outcome, check_next_step};
use gpu_digits::weights::{self, Origin, SavedModel};
use gpu_digits::{Device, Model, TrainConfig, Trainer, inference, picture};
use js_sys::Function;
use serde::Deserialize;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use web_time::{Duration, Instant};

use crate::data::Data;
use crate::device::Opened;
use crate::reading::Reader;
use crate::{Answer, begin, failed, is_stopped, json, tell};

/// How often the page hears of an epoch that goes on.
const NEWS: Duration = Duration::from_millis(250);

/// Mistakes that are shown.
const MISTAKES: usize = 12;

/// What a visitor chooses.
#[derive(Deserialize)]
struct Settings {
    /// A named model, or layers.
    model: String,
    epochs: usize,
    batch: usize,
    seed: u32,
    /// Training images to hold out.
    validation: usize,
    /// As `--augment` takes it.
    augment: String,
}

/// A run.
#[wasm_bindgen]
pub struct Training {
    device: Device,
    model: Model,
    dataset: Dataset,
    config: TrainConfig,
    trainer: Trainer,
    epochs: Vec<EpochRow>,
    /// Milliseconds of each part of the start.
    start: Vec<(&'static str, f64)>,
    seconds: f64,
}

#[wasm_bindgen]
impl Training {
    /// Prepares a run: memory, kernels, and the self-test, a step on the device and on the CPU.
    ///
    /// # Errors
    /// If the settings do not fit together, or the device cannot run the model or computes it wrongly.
    pub async fn prepare(device: &Opened, data: &Data, settings: &str, progress: &Function) -> Answer<Training> {
        // Once a run, so that a stop between two epochs counts.
        begin();
        Self::prepared(&device.0, &data.0, settings, progress).await.map_err(failed)
    }

    async fn prepared(device: &Device, dataset: &Dataset, settings: &str, progress: &Function) -> Result<Self> {
        let Settings { model, epochs, batch, seed, validation, augment } = serde_json::from_str(settings)?;
        let model = Model::parse(dataset.task.clone(), &model, &[])?;
        ensure!(epochs > 0, "there are no epochs to train; choose one at least");
        ensure!(batch > 0, "a batch of no images trains nothing; choose one at least");
        let config = TrainConfig {
            epochs,
            seed: seed.into(),
            validation,
            refinements: Refinements { augment: augment.parse()?, ..TrainConfig::DEFAULT.refinements },
            ..TrainConfig::DEFAULT.with_batch(batch)
        };
        let mut start = Vec::new();
        let clock = Instant::now();
        let mut part = |name| start.push((name, clock.elapsed().as_secs_f64() * 1e3));
        tell(progress, &json!({"now": "compiling the kernels"}));
        let parameters = model.initial_parameters(config.seed);
        let mut trainer = Trainer::new(device, &model, &parameters, dataset, config).await?;
        part("memory and kernels");
        if matches!(device, Device::Gpu(_)) {
            tell(progress, &json!({"now": "self-test: a step on the GPU and on the CPU"}));
            if let Outcome::Failed { reason } = check_next_step(device, &mut trainer, dataset).await? {
                anyhow::bail!("this GPU computes wrongly, so nothing is trained: {reason}; look at Verify");
            }
            part("self-test");
        }
        let (device, dataset) = (device.clone(), dataset.clone());
        Ok(Self { device, model, dataset, config, trainer, epochs: vec![], start, seconds: 0.0 })
    }

    /// What is trained.
    pub fn describe(&self) -> Answer<String> {
        json(&json!({
            "model": self.model.to_string(),
            "parameters": self.model.parameter_count(),
            "images": self.trainer.splits().train.len(),
            "steps": self.trainer.steps(),
            "start": self.start,
            "kernels": self.trainer.kernels(),
        }))
    }

    /// Trains to the end of the epoch, or until [`stop`](crate::stop).
    ///
    /// # Errors
    /// If the device fails or training diverges.
    pub async fn epoch(&mut self, progress: &Function) -> Answer<String> {
        self.next_epoch(progress).await.map_err(failed)
    }

    async fn next_epoch(&mut self, progress: &Function) -> Result<String> {
        let start = Instant::now();
        let before = self.trainer.steps_done();
        let steps = self.trainer.steps_of_epoch();
        let rate = self.trainer.rate(steps.end - 1);
        let mut live = Live {
            progress,
            batch: self.config.batch,
            losses: self.trainer.step_losses(),
            epochs: self.epochs.clone(),
            known: before,
            steps: self.trainer.steps(),
            start,
            told: start,
            first: None,
        };
        let epoch = self.trainer.epoch(&mut live).await?;
        let seconds = start.elapsed().as_secs_f64();
        let first_step = live.first.map(|first| (first - start).as_secs_f64());
        self.seconds += seconds;
        let done = self.trainer.steps_done();
        let images_per_second = ((done - before) * self.config.batch) as f64 / seconds;
        let validation = match self.trainer.splits().validation.clone() {
            images if images.is_empty() || epoch.interrupted => None,
            images => Some(self.trainer.evaluate(images).await?),
        };
        self.epochs.push(EpochRow {
            epoch: self.epochs.len() + 1,
            step: done,
            loss: epoch.score.loss,
            accuracy: epoch.score.accuracy,
            validation_loss: validation.map(|score| score.loss),
            validation_accuracy: validation.map(|score| score.accuracy),
            elapsed_seconds: Some(self.seconds),
            seconds,
            images_per_second,
            learning_rate: rate,
            norms: vec![],
        });
        let figures = curves(&self.epochs, &self.trainer.step_losses());
        let counters = self.trainer.counters();
        Ok(serde_json::to_string(&json!({
            "row": self.epochs.last(),
            "interrupted": epoch.interrupted,
            "is_last": done == self.trainer.steps() || epoch.interrupted,
            "seconds_to_first_result": first_step,
            "steps_per_submission": counters.steps as f64 / counters.submissions.max(1) as f64,
            "losses": epoch.step_losses,
            "figures": figures,
        }))?)
    }

    /// Scores the test images and draws how the model performs.
    ///
    /// # Errors
    /// If the device fails or the model overflows.
    pub async fn test(&mut self) -> Answer<String> {
        self.tested().await.map_err(failed)
    }

    async fn tested(&mut self) -> Result<String> {
        let parameters = self.trainer.parameters().await?;
        let (test, task) = (&self.dataset.test, self.model.task());
        let scored = inference::score(&self.device, &self.model, &parameters, test).await?;
        let evaluation = Evaluation::new(task, &scored.probabilities, &scored.losses, &test.labels);
        let mistakes = TestImage::worst_mistakes(task, test, &scored.probabilities, MISTAKES);
        let mut drawn = vec![figures::confusion(&evaluation)?];
        if !mistakes.is_empty() {
            drawn.push(figures::gallery("mistakes", "worst mistakes", &mistakes, task)?);
        }
        drawn.extend(figures::classes(&evaluation));
        drawn.extend(figures::calibration(&evaluation));
        Ok(serde_json::to_string(&json!({
            "accuracy": evaluation.accuracy,
            "loss": evaluation.loss,
            "images": test.len(),
            "data": self.dataset.name,
            "is_generated": self.dataset.name == GENERATED,
            "figures": drawn.iter().map(shown).collect::<Vec<_>>(),
        }))?)
    }

    /// The file `model.safetensors`, with the same bits as the program writes.
    ///
    /// # Errors
    /// If the device fails or the model overflows.
    pub async fn file(&mut self) -> Answer<Vec<u8>> {
        let written = async {
            let parameters = self.trainer.parameters().await?;
            let data = DataRecord::from(&self.dataset);
            weights::to_bytes(&self.model, &parameters, Origin { seed: self.config.seed, data: Some(&data) })
        };
        written.await.map_err(failed)
    }

    /// The model as it is now, to read digits.
    ///
    /// # Errors
    /// If the device fails or the model overflows.
    pub async fn reader(&mut self) -> Answer<Reader> {
        let parameters = self.trainer.parameters().await.map_err(failed)?;
        Ok(Reader::new(SavedModel { model: self.model.clone(), parameters, seed: None, data: None }))
    }
}

/// A figure for the page: its name, the description, the SVG, and the table behind it.
fn shown(figure: &Figure) -> Value {
    let svg = figure.picture.svg();
    let style = picture::dark_mode(&svg);
    json!({
        "name": figure.name, "alt": figure.alt, "svg": svg, "style": style,
        "header": figure.table.header, "rows": figure.table.rows,
    })
}

/// The learning curves.
fn curves(epochs: &[EpochRow], losses: &[f64]) -> Vec<Value> {
    let curve = thin_curve(losses, |_| 0.0);
    [figures::loss(epochs, &curve), figures::accuracy(epochs)].iter().flatten().map(shown).collect()
}

/// Tells the page how an epoch goes on.
struct Live<'a> {
    progress: &'a Function,
    batch: usize,
    /// Of all steps that are known.
    losses: Vec<f64>,
    epochs: Vec<EpochRow>,
    /// Steps before this epoch's part.
    known: usize,
    steps: usize,
    start: Instant,
    told: Instant,
    /// When the first step was known to be done.
    first: Option<Instant>,
}

impl Observer for Live<'_> {
    fn watches_history(&self) -> bool {
        true
    }

    fn progress(&mut self, steps: usize, history: Option<&[f32]>) -> ControlFlow<()> {
        let now = Instant::now();
        self.first.get_or_insert(now);
        if let Some(history) = history {
            self.losses.truncate(self.known);
            // A row holds the sum of the losses, the hits, and a fault.
            let rows = history.chunks_exact(3).take(steps);
            self.losses.extend(rows.map(|row| f64::from(row[0]) / self.batch as f64));
        }
        if now - self.told >= NEWS {
            self.told = now;
            let seconds = (now - self.start).as_secs_f64();
            tell(
                self.progress,
                &json!({
                    "step": self.known + steps,
                    "steps": self.steps,
                    "loss": self.losses.last(),
                    "images_per_second": (steps * self.batch) as f64 / seconds,
                    "figures": curves(&self.epochs, &self.losses),
                }),
            );
        }
        if is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
