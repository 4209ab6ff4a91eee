//! The lines of `metrics.jsonl`.

use serde::{Deserialize, Serialize};

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum MetricsRow {
    /// A training step, if steps are logged.
    Step(StepRow),
    /// An epoch.
    Epoch(EpochRow),
    /// The test images, once at the end.
    Test(TestRow),
}

/// A training step.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StepRow {
    /// The step, counted from 1 over the whole run.
    pub step: usize,
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Mean loss of its batch before the update, in nats.
    pub loss: f64,
    /// The learning rate of its update.
    pub learning_rate: f32,
}

/// An epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EpochRow {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Steps done at its end.
    pub step: usize,
    /// Mean training loss, in nats, of each batch before its update.
    pub loss: f64,
    /// Training accuracy of each batch before its update, from 0 to 1.
    pub accuracy: f64,
    /// Mean validation loss at the end of the epoch; none without validation images.
    pub validation_loss: Option<f64>,
    /// Validation accuracy.
    pub validation_accuracy: Option<f64>,
    /// Seconds from the start of the run to the epoch's last step; none in runs of older versions.
    #[serde(default)]
    pub elapsed_seconds: Option<f64>,
    /// Seconds of training. In the run's first epoch they exclude the first step, which is reported separately.
    pub seconds: f64,
    /// Training images a second in that time.
    pub images_per_second: f64,
    /// The learning rate of its last step.
    pub learning_rate: f32,
    /// Euclidean norms of each parameter and of its gradient in the last step.
    pub norms: Vec<Norms>,
}

/// The norms of a parameter and of its gradient.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Norms {
    /// `conv1.weight`, ...
    pub parameter: String,
    /// Euclidean norm of the parameter.
    pub value: f64,
    /// Euclidean norm of its gradient.
    pub gradient: f64,
}

/// The score of the test images.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct TestRow {
    /// Mean loss, in nats.
    pub loss: f64,
    /// Accuracy, from 0 to 1.
    pub accuracy: f64,
    /// Images.
    pub images: usize,
}
