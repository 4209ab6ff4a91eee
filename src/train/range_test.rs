//! Finding a learning rate: the range test of Smith ("Cyclical learning rates for training neural networks", 2017). The rate
//! rises by the same factor at each step, while the loss first falls and then explodes.

use anyhow::{Result, ensure};
use serde::Serialize;

use super::{TrainConfig, Trainer};
use crate::schedule::Schedule;

/// The highest rate of a test.
const MOST: f64 = 10.0;

/// The fewest steps of a test, so that a decade of rates has some dozens.
const LEAST_STEPS: usize = 350;

/// Steps between two looks at the losses.
const AT_ONCE: usize = 10;

/// A test ends when the smoothed loss is so many times its lowest.
const EXPLODED: f64 = 4.0;

/// The loss has fallen if it is at most this share of that of the first steps.
const FALLEN: f64 = 0.95;

/// Steps on each side over which a loss is smoothed: a fifth of a decade of rates in the shortest test.
const AROUND: usize = 12;

/// A step of a range test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RatePoint {
    /// The learning rate.
    pub rate: f64,
    /// The mean loss of the batch before the update, in nats.
    pub loss: f64,
    /// The mean of the losses around it.
    pub smoothed: f64,
}

/// The losses of training while the learning rate rises.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RangeTest {
    /// The steps in order, up to the one at which the loss exploded or was no longer finite.
    pub points: Vec<RatePoint>,
}

impl RangeTest {
    /// The settings of a test instead of those of a run: an epoch, or as many as it takes for 350 steps.
    pub fn config(config: TrainConfig, images: usize) -> TrainConfig {
        let steps_of_epoch = (images.saturating_sub(config.validation) + config.generated) / config.batch.max(1);
        let epochs = LEAST_STEPS.div_ceil(steps_of_epoch.max(1));
        TrainConfig { epochs, rate: MOST, schedule: Schedule::Rising, ..config }
    }

    /// A rate to train with as the highest one: that at which the smoothed loss is lowest, which is where training still
    /// goes forward as fast as it is thrown back. None if the loss did not fall.
    pub fn suggestion(&self) -> Option<f64> {
        let lowest = self.points.iter().min_by(|a, b| a.smoothed.total_cmp(&b.smoothed))?;
        (lowest.smoothed < FALLEN * self.points[0].smoothed).then_some(lowest.rate)
    }

    /// The test of steps with these losses and rates, up to where the loss explodes.
    fn new(losses: &[f64], rate: impl Fn(usize) -> f64) -> Self {
        let finite = losses.iter().position(|loss| !loss.is_finite()).unwrap_or(losses.len());
        let losses = &losses[..finite];
        let (mut points, mut lowest) = (Vec::new(), f64::INFINITY);
        for (step, &loss) in losses.iter().enumerate() {
            let around = &losses[step.saturating_sub(AROUND)..losses.len().min(step + AROUND + 1)];
            let smoothed = around.iter().sum::<f64>() / around.len() as f64;
            if smoothed > EXPLODED * lowest {
                break;
            }
            lowest = lowest.min(smoothed);
            points.push(RatePoint { rate: rate(step), loss, smoothed });
        }
        Self { points }
    }
}

impl Trainer {
    /// Trains with a rising rate until the loss explodes, or `goes_on`, which is told the steps done, says no.
    ///
    /// # Errors
    /// If the trainer is not one for a [`RangeTest`], or the device fails.
    pub async fn range_test(&mut self, mut goes_on: impl FnMut(usize) -> bool) -> Result<RangeTest> {
        ensure!(self.config.schedule == Schedule::Rising, "a range test needs a trainer with `RangeTest::config`");
        loop {
            let steps = (self.steps_done() + AT_ONCE).min(self.steps());
            self.advance_to(steps).await?;
            let test = RangeTest::new(&self.step_losses(), |step| f64::from(self.rate(step)));
            if test.points.len() < steps || steps == self.steps() || !goes_on(steps) {
                return Ok(test);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Losses that fall from 2 to 0.5 and then rise, over 300 steps.
    fn losses() -> Vec<f64> {
        (0..300)
            .map(|step| if step < 200 { 2.0 - 0.0075 * step as f64 } else { 0.5 * 1.05_f64.powi(step - 200) })
            .collect()
    }

    #[test]
    fn the_rate_at_the_lowest_loss_is_suggested() {
        let test = RangeTest::new(&losses(), |step| step as f64);
        let suggestion = test.suggestion().unwrap();
        assert!((185.0..=200.0).contains(&suggestion), "{suggestion}");
        assert!(test.points.len() < 240, "it ends where the loss is four times its lowest");
        let noisy: Vec<f64> = losses().iter().enumerate().map(|(step, loss)| loss + [0.2, -0.2][step % 2]).collect();
        let noisy = RangeTest::new(&noisy, |step| step as f64).suggestion().unwrap();
        assert!((noisy - suggestion).abs() < 6.0, "{noisy}");
    }

    #[test]
    fn nothing_is_suggested_where_the_loss_does_not_fall_and_nothing_counts_from_the_first_that_is_no_number() {
        assert_eq!(RangeTest::new(&[2.0; 100], |_| 0.1).suggestion(), None);
        assert_eq!(RangeTest::new(&[], |_| 0.1).suggestion(), None);
        let mut losses = losses();
        losses[150] = f64::NAN;
        assert_eq!(RangeTest::new(&losses, |step| step as f64).points.len(), 150);
    }

    #[test]
    fn a_test_has_enough_steps_for_small_sets() {
        let config = |images| RangeTest::config(TrainConfig::for_images(images), images);
        assert_eq!((config(60_000).epochs, config(60_000).rate), (1, 10.0));
        // 1,000 images make 28 batches of 32.
        assert_eq!(config(1_000).epochs, 13);
    }
}
