//! Which trains a model faster, a software adapter or the CPU, by a few measured steps. Both compute on the same cores,
//! and which is faster depends on the model and on the driver.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use web_time::Instant;

use crate::device::Device;
use crate::executor::{Executor, Unobserved};
use crate::model::Model;
use crate::plan::{Phase, Plan, PlanConfig};
use crate::random::Random;
use crate::resident::{ResidentData, write_order, write_parameters};
use crate::train::TrainConfig;

/// No more steps are measured on a device after so many seconds of them. The last ones may take as long as all before.
const SECONDS: f64 = 0.1;

/// The most steps that are measured on a device.
const MOST_STEPS: usize = 256;

/// The most images of a step on the CPU, whose pace hardly depends on that. An adapter has the batch of the run, so
/// that its kernels serve the run.
const MOST_IMAGES: usize = TrainConfig::DEFAULT.batch;

/// How much faster than the adapter the CPU must be, so that noise does not decide.
const MARGIN: f64 = 1.1;

/// The random stream of the images.
const STREAM: u64 = 3 << 32;

/// What a trial measured: images of training a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// On the adapter.
    pub adapter: f64,
    /// On the CPU.
    pub cpu: f64,
}

impl Trial {
    /// Trains random images on an adapter and on the CPU for a moment. The kernels of a training step are compiled
    /// meanwhile, and serve a [`Trainer`](crate::Trainer) on the same adapter; their compilation is not measured.
    ///
    /// # Errors
    /// If a device cannot run the model, or fails.
    pub async fn run(adapter: &Device, model: &Model, config: &TrainConfig) -> Result<Self> {
        let on_cpu = TrainConfig { batch: config.batch.min(MOST_IMAGES), ..*config };
        let adapter = images_per_second(adapter, model, config, 0.0).await?;
        Ok(Self { adapter, cpu: images_per_second(&Device::Cpu, model, &on_cpu, adapter).await? })
    }

    /// Whether the CPU trains the model faster.
    pub fn takes_cpu(&self) -> bool {
        self.cpu > MARGIN * self.adapter
    }
}

/// Images a second of training on a device; only a rough number if it is below `wanted`.
async fn images_per_second(device: &Device, model: &Model, config: &TrainConfig, wanted: f64) -> Result<f64> {
    let mut executor = executor(device, model, config).await?;
    if matches!(device, Device::Gpu(_)) {
        // Drivers compile a kernel when it first runs.
        executor.run(Phase::Train, 1, &mut Unobserved).await?;
    }
    let batch = config.batch as f64;
    let enough = if wanted > 0.0 { batch / wanted } else { f64::INFINITY };
    let seconds = least_seconds(enough, async |steps| {
        let start = Instant::now();
        executor.run(Phase::Train, steps, &mut Unobserved).await?;
        Ok(start.elapsed().as_secs_f64())
    });
    Ok(batch / seconds.await?)
}

/// An executor with random images, ready to train.
async fn executor(device: &Device, model: &Model, config: &TrainConfig) -> Result<Box<dyn Executor>> {
    let (batch, image, steps) = (config.batch, model.task().image().bytes(), 1 + MOST_STEPS);
    let plan = PlanConfig {
        batch,
        images: batch,
        batches: steps,
        steps,
        optimizer: Some(config.optimizer),
        refinements: config.refinements,
        form: config.form(device),
    };
    let mut executor = device.executor(Plan::new(model, plan)?).await?;
    let mut random = Random::new(config.seed, STREAM);
    let images: Vec<u8> = (0..batch * image).map(|_| random.bits() as u8).collect();
    let labels: Vec<u16> = (0..batch).map(|_| random.below(model.task().classes() as u32) as u16).collect();
    ResidentData::pack(&[(&images, &labels)]).upload(executor.as_mut());
    let order: Vec<u32> = (0..batch as u32).cycle().take(steps * batch).collect();
    write_order(executor.as_mut(), &order, 0, config.seed);
    let schedule = config.schedule.rows(config.rate, &config.optimizer, steps);
    let tensor = executor.plan().host.schedule;
    executor.write(tensor, schedule.words());
    write_parameters(executor.as_mut(), &model.initial_parameters(config.seed));
    Ok(executor)
}

/// The least seconds of a step. `time` runs some steps and returns how long they took together: one, then always twice
/// as many, until there was enough of them or one took twice as long as is `enough`.
async fn least_seconds(enough: f64, mut time: impl AsyncFnMut(usize) -> Result<f64>) -> Result<f64> {
    let (mut least, mut spent, mut steps, mut done) = (f64::INFINITY, 0.0, 1, 0);
    while spent < SECONDS && done + steps <= MOST_STEPS {
        let seconds = time(steps).await?;
        least = least.min(seconds / steps as f64);
        spent += seconds;
        done += steps;
        steps *= 2;
        if least > 2.0 * enough {
            break;
        }
    }
    Ok(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least seconds of a step among steps that take these, and the steps that were run.
    fn measured(enough: f64, seconds: impl Fn(usize) -> f64) -> (f64, usize) {
        let mut done = 0;
        let time = async |steps: usize| {
            let together = (done..done + steps).map(&seconds).sum();
            done += steps;
            Ok(together)
        };
        let least = pollster::block_on(least_seconds(enough, time)).expect("a time");
        (least, done)
    }

    #[test]
    fn a_long_step_is_measured_once_and_short_ones_for_a_moment() {
        assert_eq!(measured(f64::INFINITY, |_| 7.0), (7.0, 1));
        assert_eq!(measured(f64::INFINITY, |_| 0.0625), (0.0625, 3));
        assert_eq!(measured(f64::INFINITY, |_| 0.0).1, 255, "not for ever");
    }

    #[test]
    fn the_fastest_steps_count_and_a_device_that_is_far_behind_gets_no_more() {
        let slow_at_first = |step| if step == 0 { 0.0625 } else { 0.03125 };
        assert_eq!(measured(f64::INFINITY, slow_at_first), (0.03125, 3));
        assert_eq!(measured(0.03125, slow_at_first), (0.03125, 3), "twice as long is not far behind");
        assert_eq!(measured(0.015625, slow_at_first), (0.0625, 1));
    }

    #[test]
    fn the_cpu_is_taken_only_if_it_is_clearly_faster() {
        let takes_cpu = |adapter, cpu| Trial { adapter, cpu }.takes_cpu();
        assert!(takes_cpu(1000.0, 1200.0));
        assert!(!takes_cpu(1000.0, 1050.0));
        assert!(!takes_cpu(1000.0, 100.0));
    }

    #[test]
    fn a_trial_trains_with_the_settings_of_the_run() {
        let model: Model = "flatten, dense 10".parse().expect("a model");
        let config = TrainConfig::for_images(160);
        let pace = pollster::block_on(images_per_second(&Device::Cpu, &model, &config, 0.0)).expect("a pace");
        assert!(pace.is_finite() && pace > 0.0, "{pace}");
    }
}
