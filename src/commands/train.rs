//! `gpu-digits train`.

use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::epoch_bar::{EpochBar, Pace};
use super::repeat::{command, resolved};
use super::session::Session;
use super::tune::{refuse_without_gpu, tuned};
use super::{COMPILING, Verdict, compiling, note_unfused, percent, scoring, thousands};
use crate::cli::{OptimizerName, Switch, TrainArgs};
use crate::data::{CLASSES, DataRecord, Dataset};
use crate::device::Device;
use crate::inference::score;
use crate::metrics::{Evaluation, reaches};
use crate::model::Model;
use crate::numbers;
use crate::plan::{Optimizer, Plan, PlanConfig, Precision};
use crate::report::{RunReport, kernel_shares, tensorboard, thin_curve};
use crate::run_folder::{
    EpochRow, MetricsRow, Norms, RunFolder, RunRecord, RunResult, Settings, StartUp, StepRow, TestRow, now,
};
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

/// The settings for a training set of so many images.
fn config(args: &TrainArgs, images: usize) -> Result<TrainConfig> {
    let optimizer = optimizer(args.optimizer, args.momentum, args.weight_decay)?;
    let suited = match args.validation {
        Some(validation) => TrainConfig::holding_out(validation, images),
        None => TrainConfig::for_images(images),
    };
    // Adam's steps are as long as the rate says, those of SGD as the gradient is, which is small.
    let default_rate = if matches!(optimizer, Optimizer::Adam { .. }) { suited.rate } else { 5.0 * suited.rate };
    Ok(TrainConfig {
        epochs: args.epochs,
        batch: args.batch_size.unwrap_or(suited.batch),
        optimizer,
        rate: args.lr.unwrap_or(default_rate),
        schedule: args.schedule,
        seed: args.seed,
        shuffle: args.shuffle == Switch::On,
        validation: suited.validation,
        fuse: args.fuse.map(|fuse| fuse == Switch::On),
        precision: args.precision,
    })
}

/// The model and its initial parameters, those of `--init` where it is given.
fn initial(args: &TrainArgs) -> Result<(Model, Vec<HostTensor>)> {
    match (&args.model, &args.init) {
        (None, Some(init)) => {
            let saved = weights::load(init)?;
            Ok((saved.model, saved.parameters))
        }
        (Some(text), Some(init)) => {
            let model: Model = text.parse()?;
            let parameters = weights::load_parameters(init, &model)?;
            Ok((model, parameters))
        }
        (text, None) => {
            let model: Model = text.as_deref().unwrap_or("convnet").parse()?;
            let parameters = model.initial_parameters(args.seed);
            Ok((model, parameters))
        }
    }
}

pub(super) async fn run(args: TrainArgs) -> Result<Verdict> {
    // What is wrong with the arguments shows before any work.
    let (model, _) = initial(&args)?;
    let TrainConfig { batch, optimizer, fuse, precision, .. } = config(&args, TrainConfig::MNIST_IMAGES)?;
    if precision == Precision::F16 {
        let mnist = PlanConfig::for_mnist(batch, Some(optimizer));
        Plan::new(&model, PlanConfig { fuse: fuse.unwrap_or(true), precision, ..mnist })?;
    }
    if let Some(folder) = &args.out {
        RunFolder::ensure_free(folder)?;
    }
    let session = Session::open(&args.device, &args.data).await?;
    let (verdict, _) = train(&session, &args).await?;
    Ok(verdict)
}

/// Trains as the arguments say, writes the run folder, and gives what its report shows.
pub(super) async fn train(session: &Session, args: &TrainArgs) -> Result<(Verdict, RunReport)> {
    let Session { dataset, .. } = session;
    let (model, parameters) = initial(args)?;
    let config = config(args, dataset.train.len())?;
    let device = &tuned_device(&session.device, args, &model, &config).await?;
    note!("model: {model} ({} parameters)", thousands(model.parameter_count()));
    let held_out = thousands(config.validation);
    note!("settings: batches of {}, learning rate {}, {held_out} images held out", config.batch, config.rate);
    if let Some(output) = &args.trace {
        // By a trainer of its own, so that the run is the same to the bit with and without.
        let mut traced = Trainer::new(device, &model, &parameters, dataset, config).await?;
        let spans =
            traced.trace(TRACED_STEPS).await.context("leave out --trace, or take another device or data set")?;
        trace::write(output, &device.to_string(), &spans)?;
        note!("wrote {output}");
    }
    let start = Instant::now();
    let spinner = compiling(device);
    let mut trainer = Trainer::new(device, &model, &parameters, dataset, config).await?;
    drop(spinner);
    note_unfused(trainer.plan());
    let start_up = StartUp { executor_seconds: start.elapsed().as_secs_f64(), ..session.start_up };
    let folder = RunFolder::create(args.out.as_deref())?;
    if let Some(out) = args.out.as_deref().filter(|out| *out != folder.path()) {
        warning!(
            "  note: {} holds a run that ended before its model was saved; this one is kept in {}",
            out.display(),
            folder.path().display()
        );
    }
    let mut record = record(args, device, &model, &parameters, dataset, &config);
    record.kernels = trainer.kernels();
    folder.write_record(&record)?;
    let run = Run {
        session,
        args,
        config,
        model,
        trainer: &mut trainer,
        folder,
        record,
        start: Instant::now(),
        start_up,
        epochs: vec![],
        step_losses: vec![],
    };
    run.train().await
}

/// The record of a run that would train as the arguments say, without its kernels.
pub(super) fn record_of(session: &Session, args: &TrainArgs) -> Result<RunRecord> {
    let Session { device, dataset, .. } = session;
    let (model, parameters) = initial(args)?;
    Ok(record(args, device, &model, &parameters, dataset, &config(args, dataset.train.len())?))
}

/// The device with the kernels that `--tune` asks for.
async fn tuned_device(device: &Device, args: &TrainArgs, model: &Model, config: &TrainConfig) -> Result<Device> {
    let Device::Gpu(gpu) = device else {
        refuse_without_gpu(args.tune)?;
        return Ok(Device::Cpu);
    };
    let plan = || {
        let mnist = PlanConfig::for_mnist(config.batch, Some(config.optimizer));
        Plan::new(model, PlanConfig { fuse: config.fuses(device), precision: config.precision, ..mnist })
    };
    Ok(Device::Gpu(Box::new(tuned(gpu.as_ref().clone(), args.tune, plan).await?)))
}

fn record(
    args: &TrainArgs,
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
    let data = DataRecord::from(dataset);
    RunRecord {
        command: command(&resolved(args, device, model, config, &data)),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: env!("GPU_DIGITS_COMMIT").to_owned(),
        started: now(),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        device: device.to_string(),
        adapter,
        model: model.to_string(),
        kernels: vec![],
        seed: config.seed,
        settings: Settings {
            epochs: config.epochs,
            batch_size: config.batch,
            optimizer: format!("{:?}", config.optimizer),
            precision: config.precision,
            learning_rate: config.rate,
            schedule: format!("{:?}", config.schedule),
            shuffle: config.shuffle,
            validation: config.validation,
            initial_weights_sha256: weights::hash(parameters),
        },
        data,
        result: None,
    }
}

/// A run under way.
struct Run<'a> {
    session: &'a Session,
    args: &'a TrainArgs,
    config: TrainConfig,
    model: Model,
    trainer: &'a mut Trainer,
    folder: RunFolder,
    record: RunRecord,
    start: Instant,
    start_up: StartUp,
    epochs: Vec<EpochRow>,
    step_losses: Vec<f64>,
}

impl Run<'_> {
    async fn train(mut self) -> Result<(Verdict, RunReport)> {
        let mut interrupted = false;
        for number in 1..=self.config.epochs {
            let first_step = self.trainer.steps_done();
            let title = format!("{number}/{}", self.config.epochs);
            let steps = self.trainer.steps_of_next_epoch();
            let mut bar = EpochBar::new(title, steps, self.config.batch, &self.session.stop);
            if number == 1 {
                let (start_up, session) = (&mut self.start_up, self.session);
                // Some drivers compile a kernel when it first runs.
                let waits_for = if self.record.adapter.is_some() { COMPILING } else { "first step" };
                bar.on_first_step(waits_for, move |seconds| {
                    start_up.first_step_seconds = seconds;
                    note!("{start_up}");
                    session.say("epoch       loss  train %  validation %  seconds  images/s");
                });
            }
            let epoch = self.trainer.epoch(&mut bar).await?;
            let pace = bar.finish(epoch.step_losses.len());
            let elapsed = self.start.elapsed().as_secs_f64();
            let held_out = self.trainer.splits().validation.clone();
            let validation = if held_out.is_empty() {
                None
            } else {
                let _spinner = scoring(held_out.len());
                Some(self.trainer.evaluate(held_out).await?)
            };
            self.log_steps(number, first_step, &epoch)?;
            self.report_epoch(number, &epoch, validation, pace, elapsed).await?;
            self.step_losses.extend(&epoch.step_losses);
            let is_stopped = self.session.stop.load(Ordering::Relaxed);
            interrupted = epoch.interrupted || (is_stopped && number < self.config.epochs);
            if interrupted {
                break;
            }
        }
        self.finish(interrupted).await
    }

    /// Writes the losses of every N-th step, where that is asked for.
    fn log_steps(&mut self, number: usize, first_step: usize, epoch: &Epoch) -> Result<()> {
        let Some(every) = self.args.log_steps else { return Ok(()) };
        for (index, &loss) in epoch.step_losses.iter().enumerate() {
            let step = first_step + index;
            if step.is_multiple_of(every) {
                let learning_rate = self.trainer.rate(step);
                let row = StepRow { step: step + 1, epoch: number, loss, learning_rate };
                self.folder.append_metrics(&MetricsRow::Step(row))?;
            }
        }
        Ok(())
    }

    async fn report_epoch(
        &mut self,
        number: usize,
        epoch: &Epoch,
        validation: Option<Score>,
        pace: Pace,
        elapsed: f64,
    ) -> Result<()> {
        let norms = self.norms().await.with_context(|| {
            let (step, rate) = (self.trainer.steps_done(), self.config.rate);
            format!("training diverged by step {step}; try a smaller --lr than {rate:?}")
        })?;
        let Score { loss, accuracy, .. } = epoch.score;
        let Pace { seconds, images_per_second } = pace;
        let validation_accuracy = validation.map_or_else(|| "-".to_owned(), |score| percent(score.accuracy));
        self.session.say(&format!(
            "{:>5}  {:>9}  {:>7}  {validation_accuracy:>12}  {seconds:>7.1}  {:>8}",
            format!("{number}/{}", self.config.epochs),
            numbers::loss(loss),
            percent(accuracy),
            thousands(images_per_second as usize),
        ));
        let step = self.trainer.steps_done();
        let row = EpochRow {
            epoch: number,
            step,
            loss,
            accuracy,
            validation_loss: validation.map(|score| score.loss),
            validation_accuracy: validation.map(|score| score.accuracy),
            elapsed_seconds: Some(elapsed),
            seconds,
            images_per_second,
            learning_rate: self.trainer.rate(step.max(1) - 1),
            norms,
        };
        self.epochs.push(row.clone());
        self.folder.append_metrics(&MetricsRow::Epoch(row))
    }

    /// The norms of each parameter and of its gradient in the last step.
    ///
    /// # Errors
    /// Where the device fails, or a tensor is not finite.
    async fn norms(&mut self) -> Result<Vec<Norms>> {
        let norm = |tensor: &HostTensor| tensor.f32().iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        let (values, gradients) = (self.trainer.parameters().await?, self.trainer.gradients().await?);
        let names = self.model.parameters().into_iter().map(|(name, _)| name);
        let both = values.iter().zip(&gradients);
        let norms = names.zip(both).map(|(parameter, (value, gradient))| Norms {
            parameter,
            value: norm(value),
            gradient: norm(gradient),
        });
        Ok(norms.collect())
    }

    /// Saves the model first, then scores it and draws its report.
    async fn finish(mut self, interrupted: bool) -> Result<(Verdict, RunReport)> {
        let parameters = self.trainer.parameters().await?;
        let path = self.folder.save_model(&self.model, &parameters, &self.record)?;
        self.folder.write_epochs(&self.epochs)?;
        let hash = weights::hash(&parameters);
        let steps = self.trainer.steps_done();
        let mut result = RunResult {
            interrupted,
            steps,
            start_up: Some(self.start_up),
            training_seconds: self.epochs.iter().map(|epoch| epoch.seconds).sum(),
            test_accuracy: None,
            weights_sha256: hash.clone(),
        };
        let curve = thin_curve(&self.step_losses, |step| self.trainer.rate(step));
        let epochs = std::mem::take(&mut self.epochs);
        let mut report = RunReport::new(self.record.clone(), epochs, curve, &self.model, &parameters);
        let mut verdict = Verdict::Interrupted;
        if interrupted {
            self.session
                .say(&format!("interrupted after {steps} of {} steps; what was trained is kept", self.trainer.steps()));
        } else {
            let evaluation = self.test(&parameters, &mut report).await?;
            result.test_accuracy = Some(evaluation.accuracy);
            self.warn_of_divergence(&evaluation);
            verdict = self.judge(&evaluation);
        }
        self.session.say(&format!("weights SHA-256 {hash}"));
        self.session.say(&format!("saved {}", path.display()));
        self.record.result = Some(result);
        self.folder.write_record(&self.record)?;
        report.record = self.record.clone();
        self.write_report(&mut report).await?;
        Ok((verdict, report))
    }

    /// Scores the test images.
    async fn test(&mut self, parameters: &[HostTensor], report: &mut RunReport) -> Result<Evaluation> {
        let Session { device, dataset, .. } = self.session;
        let spinner = scoring(dataset.test.len());
        let scored = score(device, &self.model, parameters, &dataset.test).await?;
        drop(spinner);
        self.folder.write_predictions(&dataset.test.labels, &scored.probabilities)?;
        report.add_test(device, &self.model, parameters, &dataset.test, &scored).await?;
        let evaluation = Evaluation::new(&scored.probabilities, &scored.losses, &dataset.test.labels);
        let Evaluation { accuracy, loss, images, .. } = evaluation;
        self.folder.append_metrics(&MetricsRow::Test(TestRow { loss, accuracy, images }))?;
        let (share, images) = (percent(accuracy), thousands(images));
        self.session.say(&format!(
            "test accuracy {share} % of {images} images ({}), loss {}",
            self.record.data.name,
            numbers::loss(loss)
        ));
        Ok(evaluation)
    }

    /// Says so where the model knows less than one that gives each class the same probability.
    fn warn_of_divergence(&self, evaluation: &Evaluation) {
        let guessing = (CLASSES as f64).ln();
        if evaluation.loss > guessing {
            warning!(
                "warning: the test loss, {}, is above that of guessing, {guessing:.4}: training diverged or hardly began; try a \
                 smaller --lr than {:?}, or more --epochs",
                numbers::loss(evaluation.loss),
                self.config.rate
            );
        }
    }

    /// Writes the report and what else is asked for.
    async fn write_report(&mut self, report: &mut RunReport) -> Result<()> {
        match self.trainer.trace(TRACED_STEPS).await {
            Ok(spans) => report.kernels = kernel_shares(&spans, TRACED_STEPS),
            Err(error) => note!("  note: the report does not tell where the time went: {error:#}"),
        }
        let folder = self.folder.path();
        report.save(folder)?;
        super::report::write_page(folder, report)?;
        if let Some(format) = self.args.plots {
            super::report::write_plots(&folder.join("plots"), report, format)?;
        }
        if self.args.tensorboard {
            tensorboard::write(&folder.join("tensorboard"), report)?;
        }
        self.session.say(&format!("report {}", folder.join(super::report::PAGE_FILE).display()));
        Ok(())
    }

    fn judge(&self, evaluation: &Evaluation) -> Verdict {
        let (right, images) = (evaluation.right(), evaluation.images);
        match self.args.target_accuracy {
            Some(target) if !reaches(right, images as u64, target) => {
                let (right, images) = (thousands(right as usize), thousands(images));
                warning!("failed: {right} of {images} test images are right, fewer than the target of {target} %");
                Verdict::Failed
            }
            _ => Verdict::Passed,
        }
    }
}
