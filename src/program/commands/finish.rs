//! The end of a training run: its model, its scores and its report.

use anyhow::Result;

use super::run::Run;
use super::train::TRACED_STEPS;
use super::{Verdict, percent, ranks, scoring, thousands};
use crate::figures::thin_curve;
use crate::inference::score_by;
use crate::metrics::{Evaluation, reaches};
use crate::numbers;
use crate::program::cli::CheckpointEvery;
use crate::program::report::{RunReport, kernel_shares, tensorboard};
use crate::program::run_folder::{MetricsRow, RunResult, TestRow, best_epoch};
use crate::tensor::HostTensor;
use crate::weights;

impl Run<'_> {
    /// Saves the model first, then scores it and draws its report.
    pub(super) async fn finish(mut self, interrupted: bool) -> Result<(Verdict, RunReport)> {
        let ranks = self.trainer.dismiss()?;
        let parameters = self.trainer.parameters().await?;
        let path = self.folder.save_model(&self.model, &parameters, &self.record)?;
        self.folder.write_epochs(&self.progress.epochs)?;
        let hash = weights::hash(&parameters);
        let steps = self.trainer.steps_done();
        let mut result = RunResult {
            interrupted,
            steps,
            start_up: Some(self.start_up),
            training_seconds: self.progress.epochs.iter().map(|epoch| epoch.seconds).sum(),
            test_accuracy: None,
            weights_sha256: hash.clone(),
            ranks,
        };
        let curve = thin_curve(&self.trainer.step_losses(), |step| self.trainer.rate(step));
        let epochs = std::mem::take(&mut self.progress.epochs);
        let best = best_epoch(&epochs).map(|best| best + 1).filter(|best| !interrupted && *best < epochs.len());
        let mut report = RunReport::new(self.record.clone(), epochs, curve, &self.model, &parameters);
        report.add_augmented(self.model.task(), &self.session.dataset.train, self.config.refinements.augment);
        let mut verdict = Verdict::Interrupted;
        if interrupted {
            self.session.say(&format!(
                "interrupted after {steps} of {} steps; the model so far is saved",
                self.trainer.steps()
            ));
            if self.args.checkpoint_every != Some(CheckpointEvery::Off) {
                self.session.say_file("to go on:  gpu-digits train --resume", self.folder.path());
            }
        } else {
            let done = report.epochs.len();
            if let Some(patience) = self.args.early_stopping.filter(|_| done < self.config.epochs) {
                let s = if patience > 1 { "s" } else { "" };
                note!("ended after epoch {done}: the validation images were not read better for {patience} epoch{s}");
            }
            let evaluation = self.test(&parameters, &mut report).await?;
            result.test_accuracy = Some(evaluation.accuracy);
            self.warn_of_divergence(&evaluation, report.epochs.last().map(|epoch| epoch.loss));
            verdict = self.judge(&evaluation);
        }
        ranks::say(self.session, &result.ranks, &self.config);
        self.session.say(&format!("weights SHA-256 {hash}"));
        self.session.say_file("saved", &path);
        if let Some(best) = best {
            self.session
                .say_file(&format!("best on the validation images, of epoch {best}:"), &self.folder.best_path());
        }
        self.record.result = Some(result);
        report.record = self.record.clone();
        self.write_report(&mut report).await?;
        // A run whose record has a result is finished: nothing is left to go on with.
        self.folder.write_record(&self.record)?;
        match self.unwritten {
            Some(error) => Err(error.context("the run is saved, but not all of its metrics and checkpoints")),
            None => Ok((verdict, report)),
        }
    }

    /// Scores the test images.
    async fn test(&mut self, parameters: &[HostTensor], report: &mut RunReport) -> Result<Evaluation> {
        let dataset = &self.session.dataset;
        let spinner = scoring(dataset.test.len());
        let scored = score_by(self.device, &self.model, parameters, &dataset.test, self.config.batch).await?;
        drop(spinner);
        self.folder.write_predictions(self.model.task(), &dataset.test.labels, &scored.probabilities)?;
        report.add_test(&self.model, parameters, &dataset.test, &scored).await?;
        let task = self.model.task();
        let evaluation = Evaluation::new(task, &scored.probabilities, &scored.losses, &dataset.test.labels);
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
