//! `gpu-digits train`.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Verdict, load_data, open_device, percent, thousands};
use crate::cli::{OptimizerName, Switch, TrainArgs};
use crate::data::Dataset;
use crate::device::Device;
use crate::executor::Observer;
use crate::model::Model;
use crate::plan::Optimizer;
use crate::run_folder::{DataRecord, RunFolder, RunRecord, RunResult, Settings, now};
use crate::tensor::HostTensor;
use crate::trace;
use crate::train::{Epoch, Score, TrainConfig, Trainer};
use crate::weights;

/// Steps of a timeline.
const TRACED_STEPS: usize = 5;

/// The optimizer that is asked for, with its numbers.
pub(super) fn optimizer(name: OptimizerName, momentum: Option<f64>, weight_decay: f64) -> Result<Optimizer> {
    let is_sgd = matches!(name, OptimizerName::Sgd | OptimizerName::Nesterov);
    ensure!(
        is_sgd || momentum.is_none(),
        "--momentum goes with --optimizer sgd or nesterov, Adam has none; leave it out"
    );
    Ok(match name {
        OptimizerName::Sgd | OptimizerName::Nesterov => Optimizer::Sgd {
            momentum: momentum.unwrap_or(0.9),
            nesterov: name == OptimizerName::Nesterov,
            weight_decay,
        },
        OptimizerName::Adam => Optimizer::adam(weight_decay, false),
        OptimizerName::Adamw => Optimizer::adam(weight_decay, true),
    })
}

fn config(args: &TrainArgs) -> Result<TrainConfig> {
    let optimizer = optimizer(args.optimizer, args.momentum, args.weight_decay)?;
    let default_rate = if matches!(optimizer, Optimizer::Adam { .. }) { TrainConfig::DEFAULT.rate } else { 0.05 };
    Ok(TrainConfig {
        epochs: args.epochs,
        batch: args.batch_size,
        optimizer,
        rate: args.lr.unwrap_or(default_rate),
        schedule: args.schedule,
        seed: args.seed,
        shuffle: args.shuffle == Switch::On,
        validation: args.validation,
    })
}

pub(super) async fn run(args: TrainArgs) -> Result<Verdict> {
    let model: Model = args.model.parse()?;
    let config = config(&args)?;
    let parameters = match &args.init {
        Some(file) => weights::load_parameters(file, &model)?,
        None => model.initial_parameters(args.seed),
    };
    let device = open_device(&args.device.device).await?;
    let dataset = load_data(&args.data, args.seed)?;
    eprintln!("model: {model} ({} parameters)", thousands(model.parameter_count()));
    if let Some(path) = &args.trace {
        // By a trainer of its own, so that the run is the same to the bit with and without.
        let spans = Trainer::new(&device, &model, &parameters, &dataset, config).await?.trace(TRACED_STEPS).await?;
        trace::write(path, &device.to_string(), &spans)?;
        eprintln!("wrote {}", path.display());
    }
    let mut trainer = Trainer::new(&device, &model, &parameters, &dataset, config).await?;
    let stop = stop_on_ctrl_c()?;
    let folder = RunFolder::create(args.out.as_deref())?;
    let record = record(&device, &model, &parameters, &dataset, &config);
    folder.write_record(&record)?;
    let run = Run { args, config, model, trainer: &mut trainer, folder, record, stop };
    run.train().await
}

/// A flag that Ctrl-C sets; a second Ctrl-C ends the program at once.
fn stop_on_ctrl_c() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .context("cannot watch for Ctrl-C")?;
    Ok(stop)
}

fn record(
    device: &Device,
    model: &Model,
    parameters: &[HostTensor],
    dataset: &Dataset,
    config: &TrainConfig,
) -> RunRecord {
    let adapter = match device {
        Device::Cpu => None,
        Device::Gpu(gpu) => Some(gpu.info().clone()),
    };
    RunRecord {
        command: std::env::args().collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: env!("GPU_DIGITS_COMMIT").to_owned(),
        started: now(),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        device: device.to_string(),
        adapter,
        model: model.to_string(),
        seed: config.seed,
        settings: Settings {
            epochs: config.epochs,
            batch_size: config.batch,
            optimizer: format!("{:?}", config.optimizer),
            learning_rate: config.rate,
            schedule: format!("{:?}", config.schedule),
            shuffle: config.shuffle,
            validation: config.validation,
            initial_weights_sha256: weights::hash(parameters),
        },
        data: DataRecord {
            name: dataset.name.clone(),
            origin: dataset.origin.clone(),
            sha256: dataset.sha256.clone(),
            train_images: dataset.train.len(),
            test_images: dataset.test.len(),
        },
        result: None,
    }
}

/// A run under way.
struct Run<'a> {
    args: TrainArgs,
    config: TrainConfig,
    model: Model,
    trainer: &'a mut Trainer,
    folder: RunFolder,
    record: RunRecord,
    stop: Arc<AtomicBool>,
}

impl Run<'_> {
    async fn train(mut self) -> Result<Verdict> {
        println!("epoch    loss  train %  validation %  seconds  images/s");
        let mut seconds = 0.0;
        let mut interrupted = false;
        for number in 1..=self.config.epochs {
            let start = Instant::now();
            let first_step = self.trainer.steps_done();
            let mut bar = EpochBar::new(&self, number);
            let epoch = self.trainer.epoch(&mut bar).await?;
            bar.bar.finish_and_clear();
            let epoch_seconds = start.elapsed().as_secs_f64();
            seconds += epoch_seconds;
            let held_out = self.trainer.splits().validation.clone();
            let validation = if held_out.is_empty() { None } else { Some(self.trainer.evaluate(held_out).await?) };
            self.log_steps(number, first_step, &epoch)?;
            self.report_epoch(number, &epoch, validation, epoch_seconds)?;
            interrupted = epoch.interrupted || (self.stop.load(Ordering::Relaxed) && number < self.config.epochs);
            if interrupted {
                break;
            }
        }
        self.finish(interrupted, seconds).await
    }

    /// Writes the losses of every N-th step, where that is asked for.
    fn log_steps(&mut self, number: usize, first_step: usize, epoch: &Epoch) -> Result<()> {
        let Some(every) = self.args.log_steps else { return Ok(()) };
        for (index, loss) in epoch.step_losses.iter().enumerate() {
            let step = first_step + index;
            if step.is_multiple_of(every) {
                let rate = self.trainer.rate(step);
                self.folder.append_metrics(
                    &json!({"kind": "step", "step": step + 1, "epoch": number, "loss": loss, "learning_rate": rate}),
                )?;
            }
        }
        Ok(())
    }

    fn report_epoch(&mut self, number: usize, epoch: &Epoch, validation: Option<Score>, seconds: f64) -> Result<()> {
        let Score { loss, accuracy, images } = epoch.score;
        let images_per_second = images as f64 / seconds;
        let validation_accuracy = validation.map_or_else(|| "-".to_owned(), |score| percent(score.accuracy));
        println!(
            "{:>5}  {loss:>6.4}  {:>7}  {validation_accuracy:>12}  {seconds:>7.1}  {:>8}",
            format!("{number}/{}", self.config.epochs),
            percent(accuracy),
            thousands(images_per_second as usize),
        );
        self.folder.append_metrics(&json!({
            "kind": "epoch",
            "epoch": number,
            "step": self.trainer.steps_done(),
            "loss": loss,
            "accuracy": accuracy,
            "validation_loss": validation.map(|score| score.loss),
            "validation_accuracy": validation.map(|score| score.accuracy),
            "seconds": seconds,
            "images_per_second": images_per_second,
        }))
    }

    /// Saves the model first, then scores it.
    async fn finish(mut self, interrupted: bool, seconds: f64) -> Result<Verdict> {
        let parameters = self.trainer.parameters().await?;
        let path = self.folder.save_model(&self.model, &parameters, self.config.seed)?;
        let hash = weights::hash(&parameters);
        let steps = self.trainer.steps_done();
        let mut result = RunResult {
            interrupted,
            steps,
            training_seconds: seconds,
            test_accuracy: None,
            weights_sha256: hash.clone(),
        };
        let mut verdict = Verdict::Interrupted;
        if interrupted {
            println!("interrupted after {steps} of {} steps; what was trained is kept", self.trainer.steps());
        } else {
            let test = self.trainer.evaluate(self.trainer.splits().test.clone()).await?;
            result.test_accuracy = Some(test.accuracy);
            self.folder.append_metrics(
                &json!({"kind": "test", "loss": test.loss, "accuracy": test.accuracy, "images": test.images}),
            )?;
            let (accuracy, images) = (percent(test.accuracy), thousands(test.images));
            let data = &self.record.data.name;
            println!("test accuracy {accuracy} % of {images} images ({data}), loss {:.4}", test.loss);
            verdict = self.judge(test.accuracy);
        }
        println!("weights SHA-256 {hash}");
        println!("saved {}", path.display());
        self.record.result = Some(result);
        self.folder.write_record(&self.record)?;
        Ok(verdict)
    }

    fn judge(&self, accuracy: f64) -> Verdict {
        match self.args.target_accuracy {
            Some(target) if 100.0 * accuracy < target => {
                eprintln!("failed: the test accuracy is below the target of {target} %");
                Verdict::Failed
            }
            _ => Verdict::Passed,
        }
    }
}

/// The progress bar of an epoch, and the ear for Ctrl-C.
struct EpochBar {
    bar: ProgressBar,
    batch: usize,
    stop: Arc<AtomicBool>,
}

impl EpochBar {
    fn new(run: &Run<'_>, number: usize) -> Self {
        let steps = run.trainer.steps_of_next_epoch() as u64;
        let bar = ProgressBar::new(steps * run.config.batch as u64);
        let template = "epoch {prefix} {wide_bar} {human_pos}/{human_len} images  {per_sec} images/s  {msg}{eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.with_key("per_sec", |state: &indicatif::ProgressState, text: &mut dyn std::fmt::Write| {
            // A formatter of a string does not fail.
            let _ = write!(text, "{:.0}", state.per_sec());
        }));
        bar.set_prefix(format!("{number}/{}", run.config.epochs));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, batch: run.config.batch, stop: Arc::clone(&run.stop) }
    }
}

impl Observer for EpochBar {
    fn watches_history(&self) -> bool {
        !self.bar.is_hidden()
    }

    fn progress(&mut self, steps: usize, history: Option<&[f32]>) -> ControlFlow<()> {
        self.bar.set_position((steps * self.batch) as u64);
        if let Some(history) = history {
            // The mean of the last steps, since one batch's loss jumps.
            let recent = &history[2 * steps.saturating_sub(20)..2 * steps];
            let sum: f32 = recent.iter().step_by(2).sum();
            self.bar.set_message(format!("loss {:.4}  ", 2.0 * sum / (recent.len() * self.batch) as f32));
        }
        if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
