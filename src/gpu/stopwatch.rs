//! Times kernels by the device's own timestamps, if it has them, and by the host's clock.

use anyhow::Result;
use web_time::Instant;

use super::clock::doubt;
use super::kernel::{Dispatch, Fresh, encode};
use super::timestamps::Timestamps;
use super::{BoundKernel, Gpu, GpuExecutor};
use crate::plan::Phase;

/// The times of one submission, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Lap {
    /// By the host's clock, from the submission until the device was seen to have finished.
    pub wall_seconds: f64,
    /// By the device's timestamps around the kernels; none if it has none or they are implausible.
    pub gpu_seconds: Option<f64>,
    /// For the host to encode the commands.
    pub encode_seconds: f64,
    /// For the host to submit them to the driver.
    pub submit_seconds: f64,
}

impl Lap {
    fn new(wall_seconds: f64, gpu_seconds: Option<f64>) -> Self {
        let is_believed = |seconds: &f64| doubt(*seconds, [0.0, wall_seconds]).is_none();
        let gpu_seconds = gpu_seconds.filter(is_believed);
        Self { wall_seconds, gpu_seconds, encode_seconds: 0.0, submit_seconds: 0.0 }
    }
}

/// Times submissions on a GPU.
pub struct Stopwatch {
    gpu: Gpu,
    timestamps: std::result::Result<Timestamps, String>,
}

impl Stopwatch {
    /// A stopwatch for a GPU.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn new(gpu: &Gpu) -> Result<Self> {
        Ok(Self { gpu: gpu.clone(), timestamps: gpu.guarded(Timestamps::trusted(gpu, 1)).await? })
    }

    /// Why the device's own clock is not used, if it is not.
    pub fn clock_doubt(&self) -> Option<&str> {
        self.timestamps.as_ref().err().map(String::as_str)
    }

    /// Submits `repeats` dispatches, which alternate between the bound kernels, and waits for them.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn time(&self, kernels: &[BoundKernel], repeats: usize) -> Result<Lap> {
        let what = kernels.first().map_or("no kernel", |BoundKernel(dispatch)| dispatch.label());
        self.lap(kernels.iter().map(|BoundKernel(dispatch)| dispatch).cycle().take(repeats), what).await
    }

    /// Submits dispatches and waits for them.
    async fn lap<'a>(&self, dispatches: impl Iterator<Item = &'a Dispatch> + Clone, what: &str) -> Result<Lap> {
        self.gpu.guarded(self.submit(dispatches, what)).await
    }

    async fn submit<'a>(&self, dispatches: impl Iterator<Item = &'a Dispatch> + Clone, what: &str) -> Result<Lap> {
        let start = Instant::now();
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        if let Ok(timestamps) = &self.timestamps {
            timestamps.encode(&mut encoder, 0, dispatches, &mut Fresh::default());
            timestamps.resolve(&mut encoder);
        } else {
            encode(&mut encoder, dispatches, &mut Fresh::default());
        }
        let commands = encoder.finish();
        let encode_seconds = start.elapsed().as_secs_f64();
        let submission = self.gpu.queue.submit([commands]);
        let submit_seconds = start.elapsed().as_secs_f64() - encode_seconds;
        let gpu_seconds = if let Ok(timestamps) = &self.timestamps {
            Some(timestamps.read(&self.gpu, submission, what).await?[0][1])
        } else {
            self.gpu.wait(Some(submission), &self.gpu.done(), what).await?;
            None
        };
        Ok(Lap { encode_seconds, submit_seconds, ..Lap::new(start.elapsed().as_secs_f64(), gpu_seconds) })
    }
}

impl GpuExecutor {
    /// Runs steps in one submission and returns their total times.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn time_steps(&mut self, stopwatch: &Stopwatch, phase: Phase, steps: usize) -> Result<Lap> {
        let calls = self.phase(phase);
        let what = self.describe_steps(phase, &(0..steps));
        let lap = stopwatch.lap(calls.iter().cycle().take(calls.len() * steps), &what).await?;
        self.counters.steps += steps as u64;
        self.counters.submissions += 1;
        Ok(lap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_that_stand_still_run_back_or_exceed_the_wall_are_not_believed() {
        assert_eq!(Lap::new(1.0, Some(0.9)).gpu_seconds, Some(0.9));
        for wrong in [0.0, -0.1, 2.0] {
            assert_eq!(Lap::new(1.0, Some(wrong)).gpu_seconds, None);
        }
    }
}
