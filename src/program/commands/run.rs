//! A training run in progress: its epochs, its files and its results.

use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Error, Result};

use super::epoch_bar::{EpochBar, Pace};
use super::session::Session;
use super::{COMPILING, Verdict, percent, scoring, thousands};
use crate::device::Device;
use crate::figures::{EpochRow, Norms};
use crate::model::Model;
use crate::numbers;
use crate::program::cli::{CheckpointEvery, TrainArgs};
use crate::program::report::RunReport;
use crate::program::run_folder::{
    MetricsRow, Progress, RunCheckpoint, RunFolder, RunRecord, StartUp, StepRow, best_epoch,
};
use crate::tensor::HostTensor;
use crate::train::{Epoch, Score, TrainConfig, Trainer};

/// Before another checkpoint passes at least so many times what the last one took, unless the user says when.
const REST: f64 = 19.0;

/// A training run in progress.
pub(super) struct Run<'a> {
    pub(super) session: &'a Session,
    pub(super) args: &'a TrainArgs,
    pub(super) device: &'a Device,
    pub(super) config: TrainConfig,
    pub(super) model: Model,
    pub(super) trainer: &'a mut Trainer,
    pub(super) folder: RunFolder,
    pub(super) record: RunRecord,
    pub(super) start: Instant,
    pub(super) start_up: StartUp,
    pub(super) progress: Progress,
    pub(super) last_checkpoint: Instant,
    /// The seconds that the last checkpoint took.
    pub(super) checkpoint_seconds: f64,
    /// The first error in writing metrics or a checkpoint, such as a full disk. Training continues, so that its weights are
    /// not lost.
    pub(super) unwritten: Option<Error>,
    /// The epoch after which the run pauses, to go on later.
    pub(super) pause_after: Option<usize>,
}

impl Run<'_> {
    /// Trains all epochs that are left, or until the user stops it, and saves the result.
    pub(super) async fn train(mut self) -> Result<(Verdict, RunReport)> {
        self.rewrite_metrics();
        let mut interrupted = false;
        let mut is_first = true;
        let mut start_up = self.start_up;
        let last = self.pause_after.map_or(self.config.epochs, |pause| pause.min(self.config.epochs));
        while self.progress.epochs.len() < last && !interrupted && self.is_to_go_on() {
            let number = self.progress.epochs.len() + 1;
            let steps = self.trainer.steps_of_epoch();
            let done = self.trainer.steps_done() - steps.start;
            let title = format!("{number}/{}", self.config.epochs);
            let mut bar = EpochBar::new(title, steps.len(), done, self.config.batch, &self.session.stop);
            if std::mem::take(&mut is_first) {
                let (start_up, session) = (&mut start_up, self.session);
                // Some drivers compile a kernel when it first runs.
                let waits_for = if self.record.adapter.is_some() { COMPILING } else { "first step" };
                bar.on_first_step(waits_for, move |seconds| {
                    start_up.first_step_seconds = seconds;
                    note!("{start_up}");
                    session.say("epoch       loss  train %  validation %  seconds  images/s");
                });
            }
            let epoch = loop {
                bar.go_on(self.trainer.steps_done() - steps.start, self.next_pause());
                let epoch = self.trainer.epoch(&mut bar).await?;
                let is_stopped = self.session.stop.load(Ordering::Relaxed);
                if epoch.interrupted {
                    let pace = bar.pace(epoch.step_losses.len());
                    self.save_checkpoint(self.progress.epoch_seconds + pace.seconds).await;
                }
                if !epoch.interrupted || is_stopped {
                    break epoch;
                }
            };
            let pace = bar.finish(epoch.step_losses.len());
            let validation = self.validate().await?;
            self.report_epoch(&epoch, steps.start, validation, pace).await?;
            let is_last = number == last || !self.is_to_go_on();
            let is_stopped = self.session.stop.load(Ordering::Relaxed);
            interrupted = epoch.interrupted || (is_stopped && !is_last);
            if !epoch.interrupted && self.is_due(number, is_last || is_stopped) {
                self.save_checkpoint(0.0).await;
            }
        }
        self.start_up = start_up;
        let pauses = self.progress.epochs.len() == last && last < self.config.epochs;
        self.finish(interrupted || pauses).await
    }

    /// The score of the validation images, if there are any.
    async fn validate(&mut self) -> Result<Option<Score>> {
        let held_out = self.trainer.splits().validation.clone();
        if held_out.is_empty() {
            return Ok(None);
        }
        let _spinner = scoring(held_out.len());
        Ok(Some(self.trainer.evaluate(held_out).await?))
    }

    /// Whether no more epochs than `--early-stopping` allows have passed since the best one.
    fn is_to_go_on(&self) -> bool {
        let (Some(patience), Some(best)) = (self.args.early_stopping, best_epoch(&self.progress.epochs)) else {
            return true;
        };
        self.progress.epochs.len() - 1 - best < patience
    }

    /// Whether a checkpoint is to be written after this epoch.
    fn is_due(&self, number: usize, is_last: bool) -> bool {
        let elapsed = self.last_checkpoint.elapsed();
        match self.args.checkpoint_every {
            Some(CheckpointEvery::Off) => false,
            Some(CheckpointEvery::Epochs(epochs)) => is_last || number.is_multiple_of(epochs),
            Some(CheckpointEvery::Time(time)) => is_last || elapsed >= time,
            None => is_last || elapsed.as_secs_f64() >= REST * self.checkpoint_seconds,
        }
    }

    /// When a checkpoint within an epoch is due.
    fn next_pause(&self) -> Option<Instant> {
        match self.args.checkpoint_every {
            Some(CheckpointEvery::Time(time)) => Some(self.last_checkpoint + time),
            _ => None,
        }
    }

    /// Writes a checkpoint. The first failure is a warning now and an error at the end of training.
    async fn save_checkpoint(&mut self, epoch_seconds: f64) {
        if self.args.checkpoint_every == Some(CheckpointEvery::Off) {
            return;
        }
        let start = Instant::now();
        let elapsed_seconds = self.elapsed_seconds();
        let progress = Progress { elapsed_seconds, epoch_seconds, ..self.progress.clone() };
        let saved = match self.trainer.state().await {
            Ok(state) => RunCheckpoint { state, record: self.record.clone(), progress }.save(self.folder.path()),
            Err(error) => Err(error),
        };
        self.go_on_unwritten(saved);
        self.checkpoint_seconds = start.elapsed().as_secs_f64();
        self.last_checkpoint = Instant::now();
    }

    /// Seconds since the start of the run, without those between its processes.
    fn elapsed_seconds(&self) -> f64 {
        self.progress.elapsed_seconds + self.start.elapsed().as_secs_f64()
    }

    /// Writes the metrics of the epochs that are done.
    fn rewrite_metrics(&mut self) {
        let cleared = self.folder.clear_metrics();
        self.go_on_unwritten(if self.progress.epochs.is_empty() { Ok(()) } else { cleared });
        let losses = self.trainer.step_losses();
        let mut first_step = 0;
        for row in self.progress.epochs.clone() {
            self.log_steps(row.epoch, first_step, &losses[first_step..row.step]);
            first_step = row.step;
            self.append(&MetricsRow::Epoch(row));
        }
    }

    /// Writes the losses of every N-th step if `--log-steps` is given.
    fn log_steps(&mut self, number: usize, first_step: usize, losses: &[f64]) {
        let Some(every) = self.args.log_steps else { return };
        for (step, &loss) in (first_step..).zip(losses) {
            if step.is_multiple_of(every) {
                let learning_rate = self.trainer.rate(step);
                let row = StepRow { step: step + 1, epoch: number, loss, learning_rate };
                self.append(&MetricsRow::Step(row));
            }
        }
    }

    /// Appends a row of metrics.
    pub(super) fn append(&mut self, row: &MetricsRow) {
        let appended = self.folder.append_metrics(row);
        self.go_on_unwritten(appended);
    }

    /// The first failure to write is a warning now and an error at the end of training.
    fn go_on_unwritten(&mut self, written: Result<()>) {
        if let Err(error) = written
            && self.unwritten.is_none()
        {
            warning!("warning: {error:#}; training goes on");
            self.unwritten = Some(error);
        }
    }

    async fn report_epoch(
        &mut self,
        epoch: &Epoch,
        first_step: usize,
        validation: Option<Score>,
        pace: Pace,
    ) -> Result<()> {
        let number = self.progress.epochs.len() + 1;
        let elapsed_seconds = Some(self.elapsed_seconds());
        self.log_steps(number, first_step, &epoch.step_losses);
        let parameters = match self.trainer.parameters().await {
            Err(error) if self.device.failure().is_none() => {
                let (step, rate) = (self.trainer.steps_done(), numbers::exact(self.config.rate));
                return Err(error.context(format!("training diverged by step {step}; try a smaller --lr than {rate}")));
            }
            parameters => parameters?,
        };
        let norms = self.norms(&parameters).await?;
        let Score { loss, accuracy, .. } = epoch.score;
        let Pace { seconds, images_per_second } = pace;
        let seconds = seconds + std::mem::take(&mut self.progress.epoch_seconds);
        let validation_accuracy = validation.map_or_else(|| numbers::NONE.to_owned(), |score| percent(score.accuracy));
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
            elapsed_seconds,
            seconds,
            images_per_second,
            learning_rate: self.trainer.rate(step.max(1) - 1),
            norms,
        };
        self.progress.epochs.push(row.clone());
        self.append(&MetricsRow::Epoch(row));
        if !epoch.interrupted && best_epoch(&self.progress.epochs) == Some(number - 1) {
            let saved = self.folder.save_best(&self.model, &parameters, &self.record);
            self.go_on_unwritten(saved);
        }
        Ok(())
    }

    /// The norms of each parameter and of its gradient in the last step.
    ///
    /// # Errors
    /// If the device fails.
    async fn norms(&mut self, parameters: &[HostTensor]) -> Result<Vec<Norms>> {
        let norm = |tensor: &HostTensor| tensor.f32().iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        let gradients = self.trainer.gradients().await?;
        let named = self.model.parameters().into_iter().map(|(name, _)| name).zip(parameters);
        let norms = named.zip(&gradients).filter_map(|((parameter, value), gradient)| {
            gradient.as_ref().map(|gradient| Norms { parameter, value: norm(value), gradient: norm(gradient) })
        });
        Ok(norms.collect())
    }
}
