//! Whole training steps and inferences.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use web_time::Instant;

use super::measure::Effort;
use super::statistics::median_and_spread;
use crate::executor::Executor as _;
use crate::gpu::{Gpu, GpuExecutor, Lap, Stopwatch};
use crate::model::Model;
use crate::plan::{Phase, Plan, PlanConfig, PlanForm, Precision};
use crate::resident::write_parameters;
use crate::train::TrainConfig;

/// Steps of an epoch of the measured plan, and so of the longest sample.
const STEPS: usize = 256;

/// Images of the resident data set. Few are enough, because their number does not affect the time.
const IMAGES: usize = 1024;

/// The kind of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Forward, backward and update.
    Train,
    /// Forward and metrics.
    Infer,
}

impl Kind {
    fn phase(self) -> Phase {
        match self {
            Self::Train => Phase::Train,
            Self::Infer => Phase::Evaluate,
        }
    }
}

/// The time of a whole step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepTiming {
    /// The kind of a step.
    pub kind: Kind,
    /// The model's text form.
    pub model: String,
    /// The float type of activations and their gradients in memory; `f32` in results of older versions.
    #[serde(default)]
    pub precision: Precision,
    /// Images of a step.
    pub batch_size: usize,
    /// Images a second: the batch over the median step.
    pub images_per_second: f64,
    /// Median over the samples, each of several steps submitted as training does, by the host's clock.
    pub step_seconds: f64,
    /// Interquartile range of the samples, over the median; none for a single sample.
    pub spread: Option<f64>,
    /// Samples.
    pub samples: usize,
    /// The samples themselves, in order: seconds of a step. Empty in files of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sample_seconds: Vec<f64>,
    /// Seconds of the host to encode and submit a step: the sum of the next two.
    pub host_seconds: f64,
    /// Seconds to encode a step; none in reports of older versions.
    #[serde(default)]
    pub encode_seconds: Option<f64>,
    /// Seconds to submit a step, in which the driver may block for an earlier one; none in reports of older versions.
    #[serde(default)]
    pub submit_seconds: Option<f64>,
    /// Seconds of the device, by its timestamps around the same steps, so at most `step_seconds`; none if the device
    /// has no timestamps or implausible ones. In results before 2026-11-28 each kernel was timed separately, and the
    /// sum could exceed `step_seconds`.
    #[serde(default)]
    pub device_seconds: Option<f64>,
    /// Seconds of start-up until the end of the first step: buffers, pipelines, the driver's compilation.
    pub first_step_seconds: f64,
    /// Bytes of all tensors, including a data set of 1,024 images, and of the copies that kernels read as textures (not
    /// included in reports of 2026-11-25 and before).
    pub memory_bytes: u64,
    /// Dispatches of a step.
    pub dispatches: usize,
}

/// A step of a model to time.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Training or inference.
    pub kind: Kind,
    /// Images of a batch.
    pub batch: usize,
    /// The form of the plan.
    pub form: PlanForm,
}

/// Times whole steps of a model with the default optimizer.
///
/// # Errors
/// If the plan does not fit on the adapter, or the device fails.
pub async fn measure_steps(gpu: &Gpu, model: &Model, step: Step, effort: Effort) -> Result<StepTiming> {
    let Step { kind, batch, form } = step;
    let start = Instant::now();
    let optimizer = Some(TrainConfig::DEFAULT.optimizer);
    let config = PlanConfig {
        batch,
        images: IMAGES,
        batches: STEPS,
        steps: STEPS,
        form,
        ..PlanConfig::for_mnist(batch, optimizer)
    };
    let plan = Plan::new(model, config)?;
    let dispatches = plan.calls(kind.phase()).len();
    let mut executor = GpuExecutor::new(&gpu.fresh(), plan).await?;
    let host = executor.plan().host.clone();
    write_parameters(&mut executor, &model.initial_parameters(0));
    let stopwatch = Stopwatch::new(gpu).await?;
    let mut time = async |steps: usize| -> Result<Lap> {
        executor.write(host.clock, &[0, 0, 0, 0]);
        executor.time_steps(&stopwatch, kind.phase(), steps).await
    };
    time(1).await?;
    let first_step_seconds = start.elapsed().as_secs_f64();

    let estimate = time(2).await?.wall_seconds / 2.0;
    // Ten times the sample of a kernel, because a step is as long as many kernels.
    let steps = (10.0 * effort.sample_seconds / estimate).clamp(1.0, STEPS as f64) as usize;
    let mut laps = Vec::new();
    for _ in 0..effort.samples {
        laps.push(time(steps).await?);
    }
    let Summary { median, spread, device_seconds, encode_seconds, submit_seconds } = Summary::of(&laps, steps);
    Ok(StepTiming {
        kind,
        model: model.to_string(),
        precision: form.precision,
        batch_size: batch,
        images_per_second: batch as f64 / median,
        step_seconds: median,
        spread,
        samples: laps.len(),
        sample_seconds: laps.iter().map(|lap| lap.wall_seconds / steps as f64).collect(),
        host_seconds: encode_seconds + submit_seconds,
        encode_seconds: Some(encode_seconds),
        submit_seconds: Some(submit_seconds),
        device_seconds,
        first_step_seconds,
        memory_bytes: executor.memory_bytes(),
        dispatches,
    })
}

/// The summary of samples of several steps, in seconds of one step.
#[derive(Debug, PartialEq)]
struct Summary {
    median: f64,
    spread: Option<f64>,
    device_seconds: Option<f64>,
    encode_seconds: f64,
    submit_seconds: f64,
}

impl Summary {
    fn of(laps: &[Lap], steps: usize) -> Self {
        let median_of = |seconds: &dyn Fn(&Lap) -> f64| {
            let mut samples: Vec<f64> = laps.iter().map(|lap| seconds(lap) / steps as f64).collect();
            samples.sort_by(f64::total_cmp);
            median_and_spread(&samples)
        };
        let (median, spread) = median_of(&|lap| lap.wall_seconds);
        // The two clocks may differ slightly, but the device cannot have worked longer than the host has waited.
        let device = |lap: &Lap| lap.gpu_seconds.map_or(f64::NAN, |seconds| seconds.min(lap.wall_seconds));
        Self {
            median,
            spread,
            device_seconds: laps.iter().all(|lap| lap.gpu_seconds.is_some()).then(|| median_of(&device).0),
            encode_seconds: median_of(&|lap| lap.encode_seconds).0,
            submit_seconds: median_of(&|lap| lap.submit_seconds).0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lap(wall_seconds: f64, gpu_seconds: Option<f64>) -> Lap {
        Lap { wall_seconds, gpu_seconds, encode_seconds: 0.1, submit_seconds: 0.1 }
    }

    #[test]
    fn the_device_takes_at_most_the_step() {
        // In each sample the device time is at most the whole, even if its clock runs 3 % fast, so the same holds for
        // the medians.
        let laps = [(4.0, 4.12), (2.0, 1.9), (9.0, 3.0)].map(|(wall, gpu)| lap(wall, Some(gpu)));
        let summary = Summary::of(&laps, 2);
        assert_eq!((summary.median, summary.device_seconds), (2.0, Some(1.5)));
        let fast = Summary::of(&[lap(4.0, Some(4.12))], 1);
        assert_eq!((fast.median, fast.device_seconds, fast.spread), (4.0, Some(4.0), None));
    }

    #[test]
    fn a_clock_that_is_not_believed_once_gives_no_time_of_the_device() {
        let laps = [lap(1.0, Some(0.9)), lap(1.0, None)];
        assert_eq!(Summary::of(&laps, 1).device_seconds, None);
    }
}
