//! The lines of `metrics.jsonl`.

use serde::{Deserialize, Serialize};

use crate::figures::EpochRow;

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

/// The first of the epochs with the highest validation accuracy and, among these, the lowest validation loss, counted from
/// 0; none without validation images.
pub fn best_epoch(epochs: &[EpochRow]) -> Option<usize> {
    let mut best: Option<(usize, f64, f64)> = None;
    for (index, epoch) in epochs.iter().enumerate() {
        let (accuracy, loss) = (epoch.validation_accuracy?, epoch.validation_loss?);
        if best.is_none_or(|(_, most, least)| accuracy > most || (accuracy == most && loss < least)) {
            best = Some((index, accuracy, loss));
        }
    }
    best.map(|(index, _, _)| index)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_epoch_has_the_highest_accuracy_then_the_lowest_loss_and_is_the_first_such() {
        let row = |accuracy: f64, loss: f64| EpochRow {
            epoch: 1,
            step: 1,
            loss: 0.0,
            accuracy: 0.0,
            validation_loss: Some(loss),
            validation_accuracy: Some(accuracy),
            elapsed_seconds: None,
            seconds: 0.0,
            images_per_second: 0.0,
            learning_rate: 0.0,
            norms: vec![],
        };
        assert_eq!(best_epoch(&[]), None);
        let rows = [row(0.9, 0.5), row(0.95, 0.6), row(0.95, 0.4), row(0.95, 0.4), row(0.94, 0.1)];
        assert_eq!(best_epoch(&rows), Some(2));
        let unknown = EpochRow { validation_accuracy: None, ..row(1.0, 0.0) };
        assert_eq!(best_epoch(&[unknown]), None);
    }
}
