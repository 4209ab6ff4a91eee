//! Whole training steps and inferences.

use std::time::Instant;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::measure::Effort;
use super::statistics::median_and_spread;
use crate::executor::{Executor, Unobserved};
use crate::gpu::{Gpu, GpuExecutor};
use crate::model::Model;
use crate::plan::{Phase, Plan, PlanConfig, Precision};
use crate::trace::{Span, Track};
use crate::train::{TrainConfig, write_parameters};

/// Steps of an epoch of the measured plan, and so of the longest sample.
const STEPS: usize = 256;

/// Steps over which the device's time is averaged.
const TRACED_STEPS: usize = 5;

/// Images of the resident data set: few, for what they are changes no time.
const IMAGES: usize = 1024;

/// What a step is.
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

/// How long a whole step takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepTiming {
    /// What a step is.
    pub kind: Kind,
    /// The model's text form.
    pub model: String,
    /// The floats in which activations and their gradients lie in memory; `f32` in results from before there was a choice.
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
    /// What the host needs to encode and submit a step: the sum of the next two.
    pub host_seconds: f64,
    /// What it needs to encode a step; none in reports of older versions.
    #[serde(default)]
    pub encode_seconds: Option<f64>,
    /// What handing a step to the driver takes, which may let the host wait for an earlier one; none as before.
    #[serde(default)]
    pub submit_seconds: Option<f64>,
    /// What the device needs of it, by its timestamps: from the beginning of the first kernel to the end of the last; none
    /// where the device has no timestamps.
    #[serde(default)]
    pub device_seconds: Option<f64>,
    /// From nothing to the end of the first step: buffers, pipelines, the driver's compilation.
    pub first_step_seconds: f64,
    /// Bytes of all tensors, a data set of 1,024 images with them, and of their copies that kernels read as textures (these are
    /// missing in reports of 2026-11-25 and before).
    pub memory_bytes: u64,
    /// Dispatches of a step.
    pub dispatches: usize,
}

/// Times whole steps of a model with the default optimizer, of fused ops or of one for each layer.
///
/// # Errors
/// Where the plan does not fit on the adapter, or the device fails.
pub async fn measure_steps(
    gpu: &Gpu,
    model: &Model,
    batch: usize,
    kind: Kind,
    effort: Effort,
    fuse: bool,
    precision: Precision,
) -> Result<StepTiming> {
    let start = Instant::now();
    let optimizer = Some(TrainConfig::DEFAULT.optimizer);
    let config = PlanConfig { batch, images: IMAGES, batches: STEPS, steps: STEPS, optimizer, fuse, precision };
    let plan = Plan::new(model, config)?;
    let dispatches = plan.calls(kind.phase()).len();
    let mut executor = GpuExecutor::new(gpu, plan).await?;
    let host = executor.plan().host.clone();
    write_parameters(&mut executor, &model.initial_parameters(0));
    let mut seconds_of = async |steps: usize| -> Result<f64> {
        executor.write(host.clock, &[0, 0, 0]);
        let start = Instant::now();
        executor.run(kind.phase(), steps, &mut Unobserved).await?;
        Ok(start.elapsed().as_secs_f64() / steps as f64)
    };
    seconds_of(1).await?;
    let first_step_seconds = start.elapsed().as_secs_f64();

    let estimate = seconds_of(2).await?;
    // Ten times the sample of a kernel: a step is as long as many kernels.
    let steps = (10.0 * effort.sample_seconds / estimate).clamp(1.0, STEPS as f64) as usize;
    let mut samples = Vec::new();
    for _ in 0..effort.samples {
        samples.push(seconds_of(steps).await?);
    }
    samples.sort_by(f64::total_cmp);
    let (median, spread) = median_and_spread(&samples);
    let counters = executor.counters();
    let [encode_seconds, submit_seconds] =
        [counters.encode_seconds, counters.submit_seconds].map(|seconds| seconds / counters.steps as f64);
    let device_seconds = if gpu.info().timestamps {
        executor.write(host.clock, &[0, 0, 0]);
        Some(device_seconds(&executor.trace(kind.phase(), TRACED_STEPS).await?))
    } else {
        None
    };
    Ok(StepTiming {
        kind,
        model: model.to_string(),
        precision,
        batch_size: batch,
        images_per_second: batch as f64 / median,
        step_seconds: median,
        spread,
        samples: samples.len(),
        host_seconds: encode_seconds + submit_seconds,
        encode_seconds: Some(encode_seconds),
        submit_seconds: Some(submit_seconds),
        device_seconds,
        first_step_seconds,
        memory_bytes: executor.memory_bytes(),
        dispatches,
    })
}

/// Seconds of a step of a timeline, from the first kernel's beginning to the last one's end: the median.
fn device_seconds(spans: &[Span]) -> f64 {
    let kernels: Vec<&Span> = spans.iter().filter(|span| span.track == Track::Device).collect();
    let steps = kernels.chunks(kernels.len() / TRACED_STEPS);
    let mut seconds: Vec<f64> = steps
        .map(|step| {
            let end = step.iter().map(|span| span.start_seconds + span.seconds).fold(0.0, f64::max);
            end - step.iter().map(|span| span.start_seconds).fold(f64::INFINITY, f64::min)
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    median_and_spread(&seconds).0
}
