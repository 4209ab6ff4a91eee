//! Scores of a classifier: accuracy with its interval, loss, precision, recall and F1 of each class, and calibration.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::data::Task;

/// Scores of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// The class.
    pub class: usize,
    /// Its name; empty in files of older versions, where it is its number.
    #[serde(default)]
    name: String,
    /// Precision; none if the class was never predicted, or has no images.
    pub precision: Option<f64>,
    /// Recall; none if the class has no images.
    pub recall: Option<f64>,
    /// F1, the harmonic mean of both, 0 if no prediction is right; none if the class has no images.
    pub f1: Option<f64>,
    /// Images of the class.
    pub support: u64,
}

impl ClassScore {
    /// The name of the class.
    pub fn name(&self) -> Cow<'_, str> {
        if self.name.is_empty() { self.class.to_string().into() } else { self.name.as_str().into() }
    }
}

/// Scores of a classifier on a labelled set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Images.
    pub images: usize,
    /// Fraction of images predicted right, from 0 to 1.
    pub accuracy: f64,
    /// The accuracy's 95 % interval; see [`wilson_interval`].
    pub accuracy_interval: [f64; 2],
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Expected calibration error: the mean distance of confidence and accuracy over the bins, each weighted by its
    /// images (Guo et al., "On calibration of modern neural networks", 2017).
    pub calibration_error: f64,
    /// The images by the probability of their prediction, in [`BINS`] equal intervals from 0 to 1, upper ends included.
    pub calibration: Vec<CalibrationBin>,
    /// Scores class by class.
    pub classes: Vec<ClassScore>,
    /// `confusion[label][prediction]` images.
    pub confusion: Vec<Vec<u64>>,
}

/// Images of a class that are taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The class.
    pub label: usize,
    /// The other.
    pub prediction: usize,
    /// Images, at least one.
    pub images: u64,
}

/// Bins of a calibration.
pub const BINS: usize = 15;

/// The images whose prediction has a probability within an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Images.
    pub images: usize,
    /// Mean probability of the prediction; none without images.
    pub confidence: Option<f64>,
    /// Fraction predicted right; none without images.
    pub accuracy: Option<f64>,
}

/// The 95 % interval of a proportion if `right` of `count` were observed (Wilson, "Probable inference, the law of
/// succession, and statistical inference", 1927).
pub fn wilson_interval(right: u64, count: u64) -> [f64; 2] {
    // The standard normal distribution's 97.5 % quantile.
    const Z: f64 = 1.959_963_984_540_054;
    let n = count.max(1) as f64;
    let share = right as f64 / n;
    let centre = share + Z * Z / (2.0 * n);
    let half_width = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    [centre - half_width, centre + half_width].map(|bound| (bound / (1.0 + Z * Z / n)).clamp(0.0, 1.0))
}

/// The argmax; the first one among equals.
pub fn prediction(probabilities: &[f32]) -> usize {
    (1..probabilities.len())
        .fold(0, |best, class| if probabilities[class] > probabilities[best] { class } else { best })
}

/// Whether `right` of `images` are at least a percentage, exactly: 422 of 500 are 84.4 %.
///
/// The percentage is compared in decimal, because the nearest `f64` may lie above it.
pub fn reaches(right: u64, images: u64, percent: f64) -> bool {
    let text = percent.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let scaled =
        format!("{whole}{fraction}").parse::<u128>().ok().and_then(|digits| digits.checked_mul(u128::from(images)));
    let scale = 10u128.checked_pow(fraction.len() as u32 + 2).and_then(|scale| scale.checked_mul(u128::from(right)));
    match (scale, scaled) {
        (Some(right), Some(wanted)) => right >= wanted,
        // A percentage with so many decimals is nearly 0.
        _ => right as f64 * 100.0 >= percent * images as f64,
    }
}

impl Evaluation {
    /// Scores probabilities, one for each class of a task, and the cross-entropy of each image against labels.
    ///
    /// The losses are not computed from the probabilities, because those below 1e-45 are 0.
    pub fn new(task: &Task, probabilities: &[Vec<f32>], losses: &[f32], labels: &[u16]) -> Self {
        let classes = task.classes();
        let mut confusion = vec![vec![0; classes]; classes];
        for (probabilities, &label) in probabilities.iter().zip(labels) {
            confusion[usize::from(label)][prediction(probabilities)] += 1;
        }
        let loss: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
        let right = right(&confusion);
        let count = labels.len().max(1) as f64;
        let calibration = calibration(probabilities, labels);
        let distance = |bin: &CalibrationBin| Some(bin.images as f64 * (bin.confidence? - bin.accuracy?).abs());
        Self {
            images: labels.len(),
            accuracy: right as f64 / count,
            accuracy_interval: wilson_interval(right, labels.len() as u64),
            loss: loss / count,
            calibration_error: calibration.iter().filter_map(distance).sum::<f64>() / count,
            calibration,
            classes: (0..classes).map(|class| class_score(task, &confusion, class)).collect(),
            confusion,
        }
    }

    /// What is taken for what, the most frequent first.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for (label, row) in self.confusion.iter().enumerate() {
            let others = row.iter().enumerate().filter(|&(prediction, &images)| prediction != label && images > 0);
            mistakes.extend(others.map(|(prediction, &images)| Mistake { label, prediction, images }));
        }
        mistakes.sort_by_key(|mistake| std::cmp::Reverse(mistake.images));
        mistakes
    }

    /// Images predicted right.
    pub fn right(&self) -> u64 {
        right(&self.confusion)
    }
}

fn right(confusion: &[Vec<u64>]) -> u64 {
    confusion.iter().enumerate().map(|(class, row)| row[class]).sum()
}

fn calibration(probabilities: &[Vec<f32>], labels: &[u16]) -> Vec<CalibrationBin> {
    // For each bin: the images, the sum of their probabilities, and the right ones.
    let mut sums = [(0usize, 0.0, 0usize); BINS];
    for (probabilities, &label) in probabilities.iter().zip(labels) {
        let class = prediction(probabilities);
        let confidence = f64::from(probabilities[class]);
        let (images, confidences, right) = &mut sums[((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1];
        *images += 1;
        *confidences += confidence;
        *right += usize::from(class == usize::from(label));
    }
    let bin = |(images, confidences, right)| {
        let mean = |sum: f64| (images > 0).then(|| sum / images as f64);
        CalibrationBin { images, confidence: mean(confidences), accuracy: mean(right as f64) }
    };
    sums.map(bin).to_vec()
}

fn class_score(task: &Task, confusion: &[Vec<u64>], class: usize) -> ClassScore {
    let right = confusion[class][class];
    let support: u64 = confusion[class].iter().sum();
    let predicted: u64 = confusion.iter().map(|row| row[class]).sum();
    // F1 is 2 · precision · recall / (precision + recall), without a division by zero if nothing is right.
    let share = |part: u64, of: u64| (support > 0 && of > 0).then(|| part as f64 / of as f64);
    let (precision, recall, f1) =
        (share(right, predicted), share(right, support), share(2 * right, support + predicted));
    ClassScore { class, name: task.class_name(class).into_owned(), precision, recall, f1, support }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: usize = 10;

    fn sure_of(class: usize) -> Vec<f32> {
        let mut probabilities = vec![0.0; CLASSES];
        probabilities[class] = 1.0;
        probabilities
    }

    #[test]
    fn scores_of_five_images_worked_out_by_hand() {
        // Labels 0 0 1 1 2, predictions 0 1 1 1 0.
        let probabilities = [0, 1, 1, 1, 0].map(sure_of);
        let evaluation = Evaluation::new(&Task::MNIST, &probabilities, &[0.0; 5], &[0, 0, 1, 1, 2]);
        assert_eq!(evaluation.accuracy, 0.6);
        assert_eq!(evaluation.confusion[0][..3], [1, 1, 0]);
        let [zero, one, two] = [0, 1, 2].map(|class| &evaluation.classes[class]);
        assert_eq!((zero.precision, zero.recall, zero.f1, zero.support), (Some(0.5), Some(0.5), Some(0.5), 2));
        assert_eq!((one.precision, one.recall, one.f1), (Some(2.0 / 3.0), Some(1.0), Some(0.8)));
        // Never predicted, so that no precision is known.
        assert_eq!((two.precision, two.recall, two.f1, two.support), (None, Some(0.0), Some(0.0), 1));
        assert_eq!(evaluation.right(), 3);
        let mistakes =
            evaluation.mistakes().into_iter().map(|mistake| (mistake.label, mistake.prediction, mistake.images));
        assert_eq!(mistakes.collect::<Vec<_>>(), [(0, 1, 1), (2, 0, 1)]);
    }

    #[test]
    fn a_class_without_images_has_no_scores() {
        // No five; one three is taken for one.
        let evaluation = Evaluation::new(&Task::MNIST, &[sure_of(3), sure_of(5)], &[0.0; 2], &[3, 3]);
        let ClassScore { precision, recall, f1, support, .. } = evaluation.classes[5];
        assert_eq!((precision, recall, f1, support), (None, None, None, 0));
        let json = serde_json::to_value(&evaluation).unwrap();
        assert_eq!(json["classes"][5]["f1"], serde_json::Value::Null);
        assert_eq!(json["classes"][3]["recall"], 0.5);
        assert_eq!(serde_json::from_value::<Evaluation>(json).unwrap(), evaluation);
    }

    #[test]
    fn the_loss_is_the_mean_of_the_images_and_is_not_cut() {
        let evaluation = Evaluation::new(&Task::MNIST, &[sure_of(3), sure_of(3)], &[0.25, 5e13], &[3, 4]);
        assert_eq!(evaluation.loss, (0.25 + f64::from(5e13f32)) / 2.0);
    }

    #[test]
    fn each_of_the_10_001_scores_of_mnist_reaches_itself_and_no_more() {
        for right in 0..=10_000u64 {
            let typed: f64 = format!("{}.{:02}", right / 100, right % 100).parse().unwrap();
            assert!(reaches(right, 10_000, typed), "{right} of 10,000 are {typed} %");
            assert!(right == 0 || !reaches(right - 1, 10_000, typed), "{} of 10,000 are not {typed} %", right - 1);
        }
        assert!(reaches(422, 500, 84.4) && !reaches(421, 500, 84.4));
        assert!(!reaches(39_999, 40_000, 100.0) && reaches(40_000, 40_000, 100.0));
        assert!(!reaches(0, 10, 1e-300) && reaches(1, 10, 1e-300) && reaches(0, 10, 0.0));
        assert!(!reaches(422, 500, 84.400_000_000_1));
    }

    #[test]
    fn the_interval_of_a_share_is_wilsons() {
        // statsmodels 0.14: proportion_confint(9919, 10000, method="wilson") and (0, 20).
        let [low, high] = wilson_interval(9919, 10_000);
        assert!((low - 0.989_944_5).abs() < 1e-6 && (high - 0.993_477_7).abs() < 1e-6, "{low} {high}");
        let [low, high] = wilson_interval(0, 20);
        assert!(low == 0.0 && (high - 0.161_125_2).abs() < 1e-6, "{low} {high}");
    }

    #[test]
    fn the_calibration_error_is_the_weighted_distance_of_confidence_and_accuracy() {
        let sure = |class: usize, confidence: f32| {
            let mut probabilities = vec![(1.0 - confidence) / 9.0; CLASSES];
            probabilities[class] = confidence;
            probabilities
        };
        // Three at 0.9, of which two are right, and one right at 0.5.
        let probabilities = [sure(1, 0.9), sure(1, 0.9), sure(2, 0.9), sure(3, 0.5)];
        let evaluation = Evaluation::new(&Task::MNIST, &probabilities, &[0.0; 4], &[1, 1, 1, 3]);
        let wanted = (3.0 * (0.9f64 - 2.0 / 3.0) + (1.0 - 0.5)) / 4.0;
        assert!((evaluation.calibration_error - wanted).abs() < 1e-6, "{}", evaluation.calibration_error);
        assert_eq!(evaluation.calibration[13].images, 3);
        let empty = evaluation.calibration[0];
        assert_eq!((empty.images, empty.confidence, empty.accuracy), (0, None, None));
        assert_eq!(evaluation.calibration[7].images, 1);
    }

    /// 500 rows of a linear congruential generator, scored by scikit-learn 1.9.1 (and NumPy for the calibration error).
    #[test]
    fn scores_are_those_of_scikit_learn() {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345) % (1 << 31);
            state >> 16
        };
        let (mut probabilities, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..500 {
            let mut weights = [0; CLASSES].map(|_| f64::from(1 + next() % 100));
            let label = (next() % 10) as usize;
            if next() % 4 != 0 {
                weights[label] += 300.0;
            }
            let sum: f64 = weights.iter().sum();
            probabilities.push(weights.map(|weight| (weight / sum) as f32).to_vec());
            labels.push(label as u16);
        }
        let rows = probabilities.iter().zip(&labels);
        let losses: Vec<f32> = rows.map(|(row, &label)| -row[usize::from(label)].ln()).collect();
        let evaluation = Evaluation::new(&Task::MNIST, &probabilities, &losses, &labels);
        let close =
            |value: f64, wanted: f64| assert!((value - wanted).abs() < 1e-8, "{value}, scikit-learn has {wanted}");
        close(evaluation.accuracy, 0.794);
        assert!((evaluation.loss - 1.245_061_693_987_374_9).abs() < 1e-6, "{}", evaluation.loss);
        close(evaluation.calibration_error, 0.445_843_344_986_438_8);
        let precision = [
            0.728813559,
            0.695652174,
            0.8,
            0.745098039,
            0.772727273,
            0.796610169,
            0.773584906,
            0.933333333,
            0.818181818,
            0.888888889,
        ];
        let recall = [
            0.781818182,
            0.761904762,
            0.72,
            0.745098039,
            0.772727273,
            0.783333333,
            0.836734694,
            0.84,
            0.857142857,
            0.842105263,
        ];
        let f1 = [
            0.754385965,
            0.727272727,
            0.757894737,
            0.745098039,
            0.772727273,
            0.789915966,
            0.803921569,
            0.884210526,
            0.837209302,
            0.864864865,
        ];
        for (class, score) in evaluation.classes.iter().enumerate() {
            close(score.precision.unwrap(), precision[class]);
            close(score.recall.unwrap(), recall[class]);
            close(score.f1.unwrap(), f1[class]);
        }
        let support = evaluation.classes.iter().map(|score| score.support);
        assert!(support.eq([55, 42, 50, 51, 44, 60, 49, 50, 42, 57]));
        assert_eq!(evaluation.confusion[3], [2, 3, 1, 38, 0, 1, 3, 0, 2, 1]);
    }
}
