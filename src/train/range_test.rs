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

/// The share of the earlier losses in the smoothed one, as an exponential average whose start is corrected.
const KEPT: f64 = 0.9;

/// A step of a range test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RatePoint {
    /// The learning rate.
    pub rate: f64,
    /// The mean loss of the batch before the update, in nats.
    pub loss: f64,
    /// The smoothed loss.
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

    /// A rate to train with as the highest one: where the smoothed loss falls fastest.
    pub fn suggestion(&self) -> Option<f64> {
        const APART: usize = 20;
        let fall = |pair: &[RatePoint]| pair[0].smoothed - pair[APART].smoothed;
        let steepest = self.points.windows(APART + 1).max_by(|a, b| fall(a).total_cmp(&fall(b)))?;
        (fall(steepest) > 0.0).then(|| steepest[APART / 2].rate)
    }

    /// Smooths the losses of steps with these rates, up to where they explode.
    fn new(losses: &[f64], rates: impl Fn(usize) -> f64) -> Self {
        let (mut points, mut average, mut lowest) = (Vec::new(), 0.0, f64::INFINITY);
        for (step, &loss) in losses.iter().enumerate() {
            average = KEPT * average + (1.0 - KEPT) * loss;
            let smoothed = average / (1.0 - KEPT.powi(step as i32 + 1));
            if !smoothed.is_finite() || smoothed > EXPLODED * lowest {
                break;
            }
            lowest = lowest.min(smoothed);
            points.push(RatePoint { rate: rates(step), loss, smoothed });
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
