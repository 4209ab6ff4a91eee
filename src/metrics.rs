//! How well a classifier does: accuracy, loss, and per class precision, recall and F1, from its probabilities.

use serde::Serialize;

use crate::data::CLASSES;

/// Scores of one class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassScore {
    /// The digit.
    pub class: usize,
    /// Of the images predicted to be it, the share that is; 0 where none was predicted.
    pub precision: f64,
    /// Of the images that are it, the share predicted so; 0 where there is none.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
    /// Images that are it.
    pub support: u64,
}

/// Scores of a classifier on a labelled set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Images.
    pub images: usize,
    /// Share of images predicted right, from 0 to 1.
    pub accuracy: f64,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Scores class by class.
    pub classes: Vec<ClassScore>,
    /// `confusion[label][prediction]` images.
    pub confusion: [[u64; CLASSES]; CLASSES],
}

/// The first of the largest probabilities.
pub fn prediction(probabilities: &[f32; CLASSES]) -> usize {
    (1..CLASSES).fold(0, |best, class| if probabilities[class] > probabilities[best] { class } else { best })
}

impl Evaluation {
    /// Scores probabilities against labels.
    pub fn new(probabilities: &[[f32; CLASSES]], labels: &[u8]) -> Self {
        let mut confusion = [[0; CLASSES]; CLASSES];
        let mut loss = 0.0;
        for (probabilities, &label) in probabilities.iter().zip(labels) {
            confusion[usize::from(label)][prediction(probabilities)] += 1;
            // A probability that has underflown to 0 counts as the smallest float.
            loss -= f64::from(probabilities[usize::from(label)].max(f32::MIN_POSITIVE)).ln();
        }
        let right: u64 = (0..CLASSES).map(|class| confusion[class][class]).sum();
        let count = labels.len().max(1) as f64;
        let classes = (0..CLASSES).map(|class| class_score(&confusion, class)).collect();
        Self { images: labels.len(), accuracy: right as f64 / count, loss: loss / count, classes, confusion }
    }
}

fn class_score(confusion: &[[u64; CLASSES]; CLASSES], class: usize) -> ClassScore {
    let right = confusion[class][class];
    let support: u64 = confusion[class].iter().sum();
    let predicted: u64 = confusion.iter().map(|row| row[class]).sum();
    let share = |of: u64| if of == 0 { 0.0 } else { right as f64 / of as f64 };
    // 2 · precision · recall / (precision + recall), without a division by zero where nothing is right.
    let f1 = if right == 0 { 0.0 } else { 2.0 * right as f64 / (support + predicted) as f64 };
    ClassScore { class, precision: share(predicted), recall: share(support), f1, support }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sure_of(class: usize) -> [f32; CLASSES] {
        let mut probabilities = [0.0; CLASSES];
        probabilities[class] = 1.0;
        probabilities
    }

    #[test]
    fn scores_of_five_images_worked_out_by_hand() {
        // Labels 0 0 1 1 2, predictions 0 1 1 1 0.
        let probabilities = [0, 1, 1, 1, 0].map(sure_of);
        let evaluation = Evaluation::new(&probabilities, &[0, 0, 1, 1, 2]);
        assert_eq!(evaluation.accuracy, 0.6);
        assert_eq!(evaluation.confusion[0][..3], [1, 1, 0]);
        let [zero, one, two] = [0, 1, 2].map(|class| evaluation.classes[class]);
        assert_eq!((zero.precision, zero.recall, zero.f1, zero.support), (0.5, 0.5, 0.5, 2));
        assert_eq!((one.precision, one.recall, one.f1), (2.0 / 3.0, 1.0, 0.8));
        assert_eq!((two.precision, two.recall, two.f1, two.support), (0.0, 0.0, 0.0, 1));
    }

    #[test]
    fn the_loss_is_the_mean_negative_logarithm() {
        let mut probabilities = [0.0; CLASSES];
        (probabilities[3], probabilities[4]) = (0.25, 0.75);
        let evaluation = Evaluation::new(&[probabilities, probabilities], &[3, 4]);
        assert!((evaluation.loss + (0.25f64.ln() + 0.75f64.ln()) / 2.0).abs() < 1e-12);
    }
}
