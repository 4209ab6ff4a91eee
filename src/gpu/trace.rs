//! A timeline of steps on the GPU: each kernel between two timestamps of the device.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::GpuExecutor;
use super::kernel::staging_buffer;
use crate::executor::Executor;
use crate::plan::Phase;
use crate::trace::{Span, Track};

/// The most timestamps of a set that WebGPU guarantees.
const MOST_TIMESTAMPS: usize = 4096;

/// Bytes of a timestamp.
const TIMESTAMP_BYTES: u64 = 8;

impl GpuExecutor {
    /// Runs steps, each a submission of its own, and tells when the host encoded and submitted each of them and when the
    /// device ran each kernel.
    ///
    /// The clocks of host and device have no common zero: the first kernel is taken to begin when the first step had
    /// been submitted.
    pub(super) async fn trace_steps(&mut self, phase: Phase, steps: usize) -> Result<Vec<Span>> {
        let gpu = self.gpu.clone();
        let calls = self.plan().calls(phase).len();
        let timestamps = 2 * calls * steps;
        ensure!(
            gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY),
            "{} cannot time kernels, so there is no timeline of them; leave out --trace, or take another device",
            gpu.info
        );
        ensure!(timestamps <= MOST_TIMESTAMPS, "{steps} steps of {calls} calls are too many for one timeline");
        let queries = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("trace"),
            ty: wgpu::QueryType::Timestamp,
            count: timestamps as u32,
        });
        let mut spans = Vec::new();
        let start = Instant::now();
        for step in 0..steps {
            let encode_start = start.elapsed().as_secs_f64();
            let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            for (index, dispatch) in self.phase(phase).iter().enumerate() {
                let first = 2 * (step * calls + index) as u32;
                dispatch.encode(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: Some(dispatch.label()),
                    timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                        query_set: &queries,
                        beginning_of_pass_write_index: Some(first),
                        end_of_pass_write_index: Some(first + 1),
                    }),
                }));
            }
            let commands = encoder.finish();
            let submit_start = start.elapsed().as_secs_f64();
            gpu.queue.submit([commands]);
            let submit_end = start.elapsed().as_secs_f64();
            let details = vec![("step", step.to_string())];
            let host = |name: &str, from: f64, to: f64| Span {
                track: Track::Host,
                name: name.to_owned(),
                details: details.clone(),
                start_seconds: from,
                seconds: to - from,
            };
            spans.extend([host("encode", encode_start, submit_start), host("submit", submit_start, submit_end)]);
        }
        let first_submitted = spans[1].start_seconds + spans[1].seconds;
        let ticks = self.resolve(&queries, timestamps).await?;
        let waited = start.elapsed().as_secs_f64();
        let submitted = spans.last().map_or(0.0, |span| span.start_seconds + span.seconds);
        spans.push(Span {
            track: Track::Host,
            name: "wait".to_owned(),
            details: vec![],
            start_seconds: submitted,
            seconds: waited - submitted,
        });
        let period = f64::from(gpu.queue.get_timestamp_period()) * 1e-9;
        let seconds = |from: u64, to: u64| to.wrapping_sub(from) as i64 as f64 * period;
        for (number, pair) in ticks.chunks_exact(2).enumerate() {
            let call = &self.plan.calls(phase)[number % calls];
            let label = self.describe_call(phase, number % calls);
            let operands = call.op.operands();
            let shapes = operands.iter().map(|operand| format!("{} {}", operand.name, operand.shape));
            spans.push(Span {
                track: Track::Device,
                name: label.split(':').next().unwrap_or(&label).to_owned(),
                details: vec![
                    ("step", (number / calls).to_string()),
                    ("layer", call.layer.clone()),
                    ("shapes", shapes.collect::<Vec<_>>().join(", ")),
                    ("case", label),
                ],
                start_seconds: first_submitted + seconds(ticks[0], pair[0]),
                seconds: seconds(pair[0], pair[1]),
            });
        }
        self.counters.steps += steps as u64;
        self.counters.submissions += steps as u64;
        Ok(spans)
    }

    /// Copies timestamps to the host.
    async fn resolve(&self, queries: &wgpu::QuerySet, count: usize) -> Result<Vec<u64>> {
        let device = &self.gpu.device;
        let resolved = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("timestamps"),
            size: TIMESTAMP_BYTES * count as u64,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let staging = staging_buffer(&self.gpu, 2 * count);
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.resolve_query_set(queries, 0..count as u32, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, resolved.size());
        let submission = self.gpu.queue.submit([encoder.finish()]);
        let words = self.gpu.read_mapped(&staging, Some(submission)).await?;
        Ok(words.chunks_exact(2).map(|words| u64::from(words[0]) | u64::from(words[1]) << 32).collect())
    }
}
