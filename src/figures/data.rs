//! What the figures of a run are drawn from.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::sheet::base64_bytes;
use crate::data::{Samples, Task};
use crate::metrics::prediction;

/// Steps in which training images are shown augmented.
pub const AUGMENTED_STEPS: usize = 6;

/// Points of a curve.
const CURVE_POINTS: usize = 250;

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

/// A point of a curve: the mean of some steps.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The last of the steps, counted from 1.
    pub step: usize,
    /// Their mean loss before each update, in nats.
    pub loss: f64,
    /// The learning rate of the last.
    pub learning_rate: f32,
}

/// Thins out the losses of a run's steps to a curve.
pub fn thin_curve(losses: &[f64], rate: impl Fn(usize) -> f32) -> Vec<CurvePoint> {
    let group = losses.len().div_ceil(CURVE_POINTS).max(1);
    let mut curve = Vec::new();
    for (index, losses) in losses.chunks(group).enumerate() {
        let step = index * group + losses.len();
        let loss = losses.iter().sum::<f64>() / losses.len() as f64;
        curve.push(CurvePoint { step, loss, learning_rate: rate(step - 1) });
    }
    curve
}

/// A test image and its prediction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TestImage {
    /// Its index in the test set.
    pub image: usize,
    /// The label.
    pub label: u16,
    /// The predicted class.
    pub prediction: usize,
    /// The probability of the prediction.
    pub probability: f32,
    /// The probability of the label.
    pub label_probability: f32,
    /// Its bytes, `[y, x, c]`.
    #[serde(with = "base64_bytes")]
    pub pixels: Vec<u8>,
}

impl TestImage {
    /// An image of a test set, with the probabilities that a model gives each of them.
    pub fn of(task: &Task, test: &Samples, probabilities: &[Vec<f32>], image: usize) -> Self {
        let (row, label, bytes) = (&probabilities[image], test.labels[image], task.image().bytes());
        let prediction = prediction(row);
        Self {
            image,
            label,
            prediction,
            probability: row[prediction],
            label_probability: row[usize::from(label)],
            pixels: test.images[image * bytes..][..bytes].to_vec(),
        }
    }

    /// The wrong predictions with the lowest probability of the label, the worst first.
    pub fn worst_mistakes(task: &Task, test: &Samples, probabilities: &[Vec<f32>], most: usize) -> Vec<Self> {
        let is_wrong = |&image: &usize| prediction(&probabilities[image]) != usize::from(test.labels[image]);
        let of_label = |image: usize| probabilities[image][usize::from(test.labels[image])];
        lowest((0..test.len()).filter(is_wrong), of_label, most)
            .map(|image| Self::of(task, test, probabilities, image))
            .collect()
    }

    /// The images with the lowest probability of the prediction.
    pub fn least_certain(task: &Task, test: &Samples, probabilities: &[Vec<f32>], most: usize) -> Vec<Self> {
        let of_prediction = |image: usize| probabilities[image][prediction(&probabilities[image])];
        lowest(0..test.len(), of_prediction, most).map(|image| Self::of(task, test, probabilities, image)).collect()
    }

    /// The names of its label and of the predicted class.
    pub fn names<'a>(&self, task: &'a Task) -> [Cow<'a, str>; 2] {
        [self.label.into(), self.prediction].map(|class| task.class_name(class))
    }
}

/// The images with the lowest values, the lowest first.
fn lowest(
    images: impl Iterator<Item = usize>,
    value: impl Fn(usize) -> f32,
    most: usize,
) -> impl Iterator<Item = usize> {
    let mut images: Vec<usize> = images.collect();
    images.sort_by(|&a, &b| value(a).total_cmp(&value(b)));
    images.into_iter().take(most)
}

/// A training image and what augmentation makes of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Augmented {
    /// Its index in the training set.
    pub image: usize,
    /// The label.
    pub label: u16,
    /// Its bytes, `[y, x, c]`, and then those that the first steps of the run would see at this place of the batch.
    #[serde(with = "base64_bytes")]
    pub pixels: Vec<u8>,
}

/// A kernel's share of a training step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KernelShare {
    /// The kernel and the layers that call it.
    pub kernel: String,
    /// Seconds of a step.
    pub seconds: f64,
    /// Its fraction of all kernels' seconds.
    pub share: f64,
}
