//! The settings of training, and their defaults.

use crate::device::Device;
use crate::plan::{Optimizer, PlanForm, Precision, Refinements};
use crate::schedule::Schedule;

/// The settings of training.
#[derive(Clone, Copy, Debug)]
pub struct TrainConfig {
    /// Passes over the training images.
    pub epochs: usize,
    /// Samples of a batch.
    pub batch: usize,
    /// Parts of equal size of a batch, whose gradients are computed apart and added in pairs, in their order: what several
    /// [ranks](crate::ranks) share. With 1, a batch is computed at once.
    pub micro_batches: usize,
    /// Local SGD instead: each rank trains so many steps with its share of each batch alone, and then the ranks take the mean
    /// of their parameters and of all that steps carry. It is another method, with other weights for each number of ranks
    /// (Stich, "Local SGD converges fast and communicates little", 2019).
    pub sync_every: Option<usize>,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The highest learning rate of the run.
    pub rate: f64,
    /// The learning-rate schedule.
    pub schedule: Schedule,
    /// Seed of initial weights, shuffling, dropout and augmentation.
    pub seed: u64,
    /// Whether each epoch is shuffled; otherwise the images come in the order of the data set.
    pub shuffle: bool,
    /// Training images to hold out for validation, chosen by `seed` from each class in proportion to its size.
    pub validation: usize,
    /// [Generated digits](crate::data::digits) to train on besides, drawn by `seed`: hands that the data set lacks.
    pub generated: usize,
    /// Whether to send images to the device as steps need them; none to do so if they do not fit into a tensor there. The
    /// weights are the same to the bit.
    pub stream: Option<bool>,
    /// Whether to fuse calls; none for the device's default.
    pub fuse: Option<bool>,
    /// The float type of activations and their gradients in memory.
    pub precision: Precision,
    /// Label smoothing, clipping of gradients, the average of the parameters, and augmentation.
    pub refinements: Refinements,
}

impl TrainConfig {
    /// Training images of MNIST, for which [`Self::DEFAULT`] is made.
    pub const MNIST_IMAGES: usize = 60_000;

    /// Generated digits that `gpu-digits train` adds to them.
    pub const MNIST_GENERATED: usize = 6_000;

    /// The defaults of `gpu-digits train`, with which the default model reaches a test accuracy of 99.3 to 99.4 % on
    /// MNIST; `train` also adds [`Self::MNIST_GENERATED`].
    pub const DEFAULT: Self = Self {
        epochs: 6,
        batch: 128,
        micro_batches: 1,
        sync_every: None,
        optimizer: Optimizer::adam(0.0, false),
        rate: 0.01,
        schedule: Schedule::OneCycle,
        seed: 0,
        shuffle: true,
        validation: 5_000,
        generated: 0,
        stream: None,
        fuse: None,
        precision: Precision::F32,
        refinements: Refinements::FOR_DIGITS,
    };
}

impl TrainConfig {
    /// [`Self::DEFAULT`] adapted to a training set of this size: a twelfth is held out, and small sets have smaller
    /// batches.
    pub fn for_images(images: usize) -> Self {
        Self::holding_out(images / 12, images)
    }

    /// The same with another number of images held out.
    ///
    /// A batch is at most a sixteenth of the images to train on; otherwise an epoch would have too few steps.
    pub fn holding_out(validation: usize, images: usize) -> Self {
        const SMALLEST_BATCH: usize = 8;
        let trained_on = images.saturating_sub(validation).max(1);
        let sixteenth = 1 << (trained_on / 16).max(1).ilog2();
        let batch = sixteenth.clamp(SMALLEST_BATCH, Self::DEFAULT.batch).min(trained_on);
        Self { validation, ..Self::DEFAULT }.with_batch(batch)
    }

    /// The same with another batch and the learning rate that suits it.
    ///
    /// Below the default batch, the learning rate is proportional to the square root of the batch, like the noise of a
    /// gradient (Krizhevsky, "One weird trick", 2014). Above, it stays, since a higher one may diverge.
    pub fn with_batch(self, batch: usize) -> Self {
        let smaller = batch.min(Self::DEFAULT.batch);
        let rate = Self::DEFAULT.rate * (smaller as f64 / Self::DEFAULT.batch as f64).sqrt();
        // Round to two digits.
        let scale = 10f64.powi(1 - rate.log10().floor() as i32);
        let rate = (rate * scale).round() / scale;
        Self { batch, rate, ..self }
    }

    /// The form of the plan that training on a device uses.
    pub fn form(&self, device: &Device) -> PlanForm {
        PlanForm { fuse: self.fuse.unwrap_or_else(|| device.prefers_fused()), precision: self.precision }
    }
}

#[cfg(test)]
mod tests {
    use super::TrainConfig;

    #[test]
    fn defaults_suit_the_size_of_the_set() {
        let defaults = |images| {
            let TrainConfig { validation, batch, rate, .. } = TrainConfig::for_images(images);
            (validation, batch, rate)
        };
        assert_eq!(defaults(60_000), (5_000, 128, 0.01));
        assert_eq!(defaults(12_000), (1_000, 128, 0.01));
        assert_eq!(defaults(1_000), (83, 32, 0.005));
        assert_eq!(defaults(160), (13, 8, 0.0025));
        assert_eq!(defaults(1), (0, 1, 0.00088));
        assert_eq!(TrainConfig::holding_out(155, 160).batch, 5, "never more than is trained on");
    }

    #[test]
    fn the_default_rate_suits_the_batch() {
        let rate = |batch: usize| TrainConfig::for_images(60_000).with_batch(batch).rate;
        assert_eq!([1, 32, 128, 1024].map(rate), [0.00088, 0.005, 0.01, 0.01]);
    }
}
