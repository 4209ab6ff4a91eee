//! A training run in progress: its epochs, its files and its results.

use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context as _, Error, Result};

use super::epoch_bar::{EpochBar, Pace};
use super::session::Session;
use super::train::TRACED_STEPS;
use super::{COMPILING, Verdict, percent, scoring, thousands};
use crate::device::Device;
use crate::inference::score_by;
use crate::metrics::{Evaluation, reaches};
use crate::model::Model;
use crate::program::cli::TrainArgs;
use crate::program::numbers;
use crate::program::report::{RunReport, kernel_shares, tensorboard, thin_curve};
use crate::program::run_folder::{
    EpochRow, MetricsRow, Norms, RunFolder, RunRecord, RunResult, StartUp, StepRow, TestRow,
};
use crate::tensor::HostTensor;
use crate::train::{Epoch, Score, TrainConfig, Trainer};
use crate::weights;

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
    pub(super) epochs: Vec<EpochRow>,
    pub(super) step_losses: Vec<f64>,
    /// The first error in writing metrics, such as a full disk. Training continues, so that its weights are not lost.
    pub(super) unwritten: Option<Error>,
}

impl Run<'_> {
    /// Trains all epochs, or until the user stops it, and saves the result.
    pub(super) async fn train(mut self) -> Result<(Verdict, RunReport)> {
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
            self.log_steps(number, first_step, &epoch);
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

    /// Writes the losses of every N-th step if `--log-steps` is given.
    fn log_steps(&mut self, number: usize, first_step: usize, epoch: &Epoch) {
        let Some(every) = self.args.log_steps else { return };
        for (index, &loss) in epoch.step_losses.iter().enumerate() {
            let step = first_step + index;
            if step.is_multiple_of(every) {
                let learning_rate = self.trainer.rate(step);
                let row = StepRow { step: step + 1, epoch: number, loss, learning_rate };
                self.append(&MetricsRow::Step(row));
            }
        }
    }

    /// Appends a row of metrics. The first failure is a warning now and an error at the end of training.
    fn append(&mut self, row: &MetricsRow) {
        if let Err(error) = self.folder.append_metrics(row)
            && self.unwritten.is_none()
        {
            warning!("warning: {error:#}; training goes on");
            self.unwritten = Some(error);
        }
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
            format!("training diverged by step {step}; try a smaller --lr than {}", numbers::exact(rate))
        })?;
        let Score { loss, accuracy, .. } = epoch.score;
        let Pace { seconds, images_per_second } = pace;
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
            elapsed_seconds: Some(elapsed),
            seconds,
            images_per_second,
            learning_rate: self.trainer.rate(step.max(1) - 1),
            norms,
        };
        self.epochs.push(row.clone());
        self.append(&MetricsRow::Epoch(row));
        Ok(())
    }

    /// The norms of each parameter and of its gradient in the last step.
    ///
    /// # Errors
    /// If the device fails, or a tensor is not finite.
    async fn norms(&mut self) -> Result<Vec<Norms>> {
        let norm = |tensor: &HostTensor| tensor.f32().iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        let (values, gradients) = (self.trainer.parameters().await?, self.trainer.gradients().await?);
        let named = self.model.parameters().into_iter().map(|(name, _)| name).zip(&values);
        let norms = named.zip(&gradients).filter_map(|((parameter, value), gradient)| {
            gradient.as_ref().map(|gradient| Norms { parameter, value: norm(value), gradient: norm(gradient) })
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
            self.session.say(&format!(
                "interrupted after {steps} of {} steps; the model so far is saved",
                self.trainer.steps()
            ));
        } else {
            let evaluation = self.test(&parameters, &mut report).await?;
            result.test_accuracy = Some(evaluation.accuracy);
            self.warn_of_divergence(&evaluation, report.epochs.last().map(|epoch| epoch.loss));
            verdict = self.judge(&evaluation);
        }
        self.session.say(&format!("weights SHA-256 {hash}"));
        self.session.say_file("saved", &path);
        self.record.result = Some(result);
        self.folder.write_record(&self.record)?;
        report.record = self.record.clone();
        self.write_report(&mut report).await?;
        match self.unwritten {
            Some(error) => Err(error.context("the run is saved, but its metrics are not whole")),
            None => Ok((verdict, report)),
        }
    }

    /// Scores the test images.
    async fn test(&mut self, parameters: &[HostTensor], report: &mut RunReport) -> Result<Evaluation> {
        let dataset = &self.session.dataset;
        let spinner = scoring(dataset.test.len());
        let scored = score_by(self.device, &self.model, parameters, &dataset.test, self.config.batch).await?;
        drop(spinner);
        self.folder.write_predictions(&dataset.test.labels, &scored.probabilities)?;
        report.add_test(&self.model, parameters, &dataset.test, &scored).await?;
        let classes = self.model.task().classes();
        let evaluation = Evaluation::new(classes, &scored.probabilities, &scored.losses, &dataset.test.labels);
        let Evaluation { accuracy, loss, images, .. } = evaluation;
        self.append(&MetricsRow::Test(TestRow { loss, accuracy, images }));
        let (share, images) = (percent(accuracy), thousands(images));
        self.session.say(&format!(
            "test accuracy {share} % of {images} images ({}), loss {}",
            self.record.data.name,
            numbers::loss(loss)
        ));
        Ok(evaluation)
    }

    /// Warns if the model is worse than one that gives each class the same probability.
    fn warn_of_divergence(&self, evaluation: &Evaluation, training_loss: Option<f64>) {
        let guessing = (self.model.task().classes() as f64).ln();
        if evaluation.loss <= guessing {
            return;
        }
        if let Some(training_loss) = training_loss.filter(|loss| *loss < guessing) {
            warning!(
                "warning: the test loss, {}, is above that of guessing, {guessing:.4}, and the training loss, {}, is below: the \
                 test images are unlike those trained on, or these were learned by heart; train on more and other images",
                numbers::loss(evaluation.loss),
                numbers::loss(training_loss)
            );
        } else {
            warning!(
                "warning: the test loss, {}, is above that of guessing, {guessing:.4}: training diverged or was too \
                 short; try a smaller --lr than {}, or more --epochs",
                numbers::loss(evaluation.loss),
                numbers::exact(self.config.rate)
            );
        }
    }

    /// Writes the report and the other requested files.
    async fn write_report(&mut self, report: &mut RunReport) -> Result<()> {
        match self.trainer.trace(TRACED_STEPS).await {
            Ok(spans) => report.kernels = kernel_shares(&spans, TRACED_STEPS),
            Err(error) => note!("  note: the report has no table of kernel times: {error:#}"),
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
        self.session.say_file("report", &folder.join(super::report::PAGE_FILE));
        Ok(())
    }

    fn judge(&self, evaluation: &Evaluation) -> Verdict {
        let (right, images) = (evaluation.right(), evaluation.images);
        match self.args.target_accuracy {
            Some(target) if !reaches(right, images as u64, target) => {
                let (right, images) = (thousands(right as usize), thousands(images));
                warning!("failed: {right} of {images} test images are right, below the target of {target} %");
                Verdict::Failed
            }
            _ => Verdict::Passed,
        }
    }
}
