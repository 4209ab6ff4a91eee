//! The settings of a run.

use serde::{Deserialize, Serialize};

use crate::augment::Augment;
use crate::plan::Precision;

/// The settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images of a step.
    pub batch_size: usize,
    /// Parts of a batch whose gradients are added in a fixed order; 1 in runs of older versions.
    #[serde(default = "one")]
    pub micro_batches: usize,
    /// Steps between two means of the weights in local SGD; none for steps that are shared exactly.
    #[serde(default)]
    pub sync_every: Option<usize>,
    /// The optimizer with its parameters.
    pub optimizer: String,
    /// The float type of activations and their gradients in memory; `f32` in runs of older versions.
    #[serde(default)]
    pub precision: Precision,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// The learning-rate schedule.
    pub schedule: String,
    /// How the training images are changed at random; `none` in runs of older versions.
    #[serde(default = "no_augmentation")]
    pub augment: String,
    /// The share of a label's probability that is spread over all classes; of this and the next three none in runs of older
    /// versions.
    #[serde(default)]
    pub label_smoothing: f64,
    /// The largest norm of the gradients together.
    #[serde(default)]
    pub clip_norm: Option<f64>,
    /// The share that the average of the parameters keeps at each step.
    #[serde(default)]
    pub average: Option<f64>,
    /// The layers that kept their weights and statistics.
    #[serde(default)]
    pub frozen: Vec<String>,
    /// Whether each epoch is shuffled.
    pub shuffle: bool,
    /// Training images held out for validation, chosen with the seed from each class in proportion to its size.
    pub validation: usize,
    /// Generated digits trained on besides; none in runs of older versions.
    #[serde(default)]
    pub generated: usize,
    /// SHA-256 of the initial weights.
    pub initial_weights_sha256: String,
}

fn one() -> usize {
    1
}

fn no_augmentation() -> String {
    Augment::NONE.to_string()
}
