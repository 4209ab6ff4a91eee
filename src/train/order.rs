//! Which images each step takes.

use anyhow::{Result, ensure};

use super::Trainer;
use crate::executor::Feed as _;
use crate::random::Random;
use crate::resident::{write_clock, write_order};

/// The first of the random streams that shuffle the epochs; lower streams belong to the initial weights.
const SHUFFLE_STREAM: u64 = 1 << 32;

impl Trainer {
    /// Writes the order of the next batches, or what the stream makes of it during the run, and sets the clock to the first
    /// of them.
    pub(super) fn write_order(&mut self, order: &[u32]) {
        self.write_order_at(order, self.steps_done(), self.config.seed);
    }

    /// The same with the clock at another step, and another seed of random changes.
    pub(super) fn write_order_at(&mut self, order: &[u32], step: usize, seed: u64) {
        match &mut self.stream {
            Some(stream) => {
                stream.set_order(order);
                write_clock(self.executor.as_mut(), step, seed);
            }
            None => write_order(self.executor.as_mut(), order, step, seed),
        }
    }

    /// Sends what the first steps of the order need, if they are run without the stream.
    pub(super) fn send(&mut self, steps: usize) -> Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let most = stream.most_steps();
        ensure!(steps <= most, "the device has room for the images of {most} steps, but {steps} are needed");
        stream.parts(0..steps).iter().for_each(|part| self.executor.write_part(part));
        Ok(())
    }

    /// The images of the next `steps` batches, from the stream of permutations.
    pub(super) fn next_order(&self, steps: usize) -> Vec<u32> {
        self.order_from(self.steps_done(), steps)
    }

    /// The images of `steps` batches from a step of the run on.
    pub(super) fn order_from(&self, step: usize, steps: usize) -> Vec<u32> {
        let count = self.splits.train.len();
        let start = step * self.config.batch;
        let places = start..start + steps * self.config.batch;
        let permutations = places.start / count..=(places.end - 1) / count;
        let stream = permutations.clone().flat_map(|number| self.permutation(number));
        stream.skip(places.start - permutations.start() * count).take(places.len()).collect()
    }

    fn permutation(&self, number: usize) -> Vec<u32> {
        let mut images = self.splits.train.clone();
        if self.config.shuffle {
            Random::new(self.config.seed, SHUFFLE_STREAM + number as u64).shuffle(&mut images);
        }
        images
    }
}
