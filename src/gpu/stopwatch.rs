//! Times kernels: by the device's own timestamps where it has them, and by the host's clock beside.

use std::time::Instant;

use anyhow::Result;

use super::kernel::{Dispatch, staging_buffer};
use super::{Bound, Gpu};

/// What one submission took.
#[derive(Clone, Copy, Debug)]
pub struct Lap {
    /// By the host's clock, from the submission until the device was seen to have finished.
    pub wall_seconds: f64,
    /// By the device's timestamps around the kernels; none where it has none, or none that can be believed: they must
    /// have moved, and by no more than the host has waited.
    pub gpu_seconds: Option<f64>,
}

impl Lap {
    fn new(wall_seconds: f64, gpu_seconds: Option<f64>) -> Self {
        let is_sane = |seconds: &f64| *seconds > 0.0 && *seconds <= 1.05 * wall_seconds;
        Self { wall_seconds, gpu_seconds: gpu_seconds.filter(is_sane) }
    }
}

/// A pair of timestamps and the way they come back.
struct Timestamps {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
    period_seconds: f64,
}

/// Times submissions on a GPU.
pub struct Stopwatch {
    gpu: Gpu,
    timestamps: Option<Timestamps>,
}

impl Stopwatch {
    /// A stopwatch for a GPU.
    pub fn new(gpu: &Gpu) -> Self {
        let timestamps = gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY).then(|| Timestamps {
            queries: gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("stopwatch"),
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            }),
            resolved: gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("timestamps"),
                size: 16,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            }),
            staging: staging_buffer(gpu, 4),
            period_seconds: f64::from(gpu.queue.get_timestamp_period()) * 1e-9,
        });
        Self { gpu: gpu.clone(), timestamps }
    }

    /// Submits `repeats` dispatches, which take turns among the bound kernels, and waits for them.
    ///
    /// # Errors
    /// Where the device fails.
    pub async fn time(&self, kernels: &[Bound], repeats: usize) -> Result<Lap> {
        let turns = kernels.iter().cycle().take(repeats).map(|Bound(dispatch)| dispatch);
        let start = Instant::now();
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        self.encode(&mut encoder, turns);
        let submission = self.gpu.queue.submit([encoder.finish()]);
        let Some(timestamps) = &self.timestamps else {
            self.gpu.wait(Some(submission), &self.gpu.done()).await?;
            return Ok(Lap::new(start.elapsed().as_secs_f64(), None));
        };
        let words = self.gpu.read_mapped(&timestamps.staging, Some(submission)).await?;
        let wall_seconds = start.elapsed().as_secs_f64();
        let [begin, end] = [0, 2].map(|word| u64::from(words[word]) | u64::from(words[word + 1]) << 32);
        // A clock that runs backwards gives a negative time.
        let gpu_seconds = end.wrapping_sub(begin) as i64 as f64 * timestamps.period_seconds;
        Ok(Lap::new(wall_seconds, Some(gpu_seconds)))
    }

    fn encode<'a>(&self, encoder: &mut wgpu::CommandEncoder, dispatches: impl Iterator<Item = &'a Dispatch>) {
        let timestamp_writes = self.timestamps.as_ref().map(|timestamps| wgpu::ComputePassTimestampWrites {
            query_set: &timestamps.queries,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        });
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
            for dispatch in dispatches {
                dispatch.encode(&mut pass);
            }
        }
        if let Some(Timestamps { queries, resolved, staging, .. }) = &self.timestamps {
            encoder.resolve_query_set(queries, 0..2, resolved, 0);
            encoder.copy_buffer_to_buffer(resolved, 0, staging, 0, 16);
        }
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
