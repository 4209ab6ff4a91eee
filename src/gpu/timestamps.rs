//! The device's clock: a set of timestamps, written by passes and read back.

use anyhow::Result;

use super::Gpu;
use super::kernel::{Dispatch, Fresh, encode, staging_buffer};

/// Bytes of a timestamp.
const SIZE_BYTES: u64 = 8;

/// A set of timestamps and the buffers to read them back.
pub(super) struct Timestamps {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
    count: u32,
    period_seconds: f64,
}

impl Timestamps {
    /// The most timestamps of a set that WebGPU guarantees.
    pub(super) const MOST: usize = 4096;

    /// A set for `spans` spans of time if the device's clock is plausible; otherwise why it is not.
    ///
    /// # Errors
    /// If the device fails.
    pub(super) async fn trusted(gpu: &Gpu, spans: usize) -> Result<std::result::Result<Self, String>> {
        let doubt = gpu.clock_doubt().await?;
        Ok(doubt.map_or_else(|| Self::new(gpu, spans).ok_or_else(String::new), Err))
    }

    /// A set for `spans` spans of time, even if the clock is implausible; none if the device has no timestamps.
    pub(super) fn new(gpu: &Gpu, spans: usize) -> Option<Self> {
        if !gpu.info.timestamps {
            return None;
        }
        let count = 2 * spans as u32;
        Some(Self {
            queries: gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("timestamps"),
                ty: wgpu::QueryType::Timestamp,
                count,
            }),
            resolved: gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("timestamps"),
                size: SIZE_BYTES * u64::from(count),
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            }),
            staging: staging_buffer(gpu, 2 * count as usize),
            count,
            period_seconds: f64::from(gpu.queue.get_timestamp_period()) * 1e-9,
        })
    }

    /// Appends dispatches, and updates of their textures that are not fresh, between the two timestamps of a span.
    pub(super) fn encode<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        span: usize,
        dispatches: impl Iterator<Item = &'a Dispatch> + Clone,
        fresh: &mut Fresh,
    ) {
        let [begin, end] = [0, 1].map(|i| Some(2 * span as u32 + i));
        if dispatches.clone().any(Dispatch::reads_textures) {
            // Passes write timestamps, and copies are between passes, so empty passes mark both ends.
            self.pass(encoder, begin, None);
            encode(encoder, dispatches, fresh);
            self.pass(encoder, None, end);
        } else {
            let mut pass = self.pass(encoder, begin, end);
            dispatches.for_each(|dispatch| dispatch.encode(&mut pass));
        }
    }

    fn pass<'a>(
        &self,
        encoder: &'a mut wgpu::CommandEncoder,
        beginning_of_pass_write_index: Option<u32>,
        end_of_pass_write_index: Option<u32>,
    ) -> wgpu::ComputePass<'a> {
        let timestamp_writes = Some(wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index,
            end_of_pass_write_index,
        });
        encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes })
    }

    /// Appends the commands that read the timestamps back.
    pub(super) fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.queries, 0..self.count, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.staging, 0, self.resolved.size());
    }

    /// Beginning and end of each span, in seconds since the beginning of the first, when the submission is done.
    pub(super) async fn read(&self, gpu: &Gpu, submission: wgpu::SubmissionIndex, what: &str) -> Result<Vec<[f64; 2]>> {
        let words = gpu.read_mapped(&self.staging, Some(submission), what).await?;
        let ticks = |word: usize| u64::from(words[word]) | u64::from(words[word + 1]) << 32;
        // A clock that runs backwards gives a negative time.
        let seconds = |word: usize| ticks(word).wrapping_sub(ticks(0)) as i64 as f64 * self.period_seconds;
        Ok((0..words.len()).step_by(4).map(|word| [seconds(word), seconds(word + 2)]).collect())
    }
}
