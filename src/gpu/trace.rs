//! A timeline of steps on the GPU: each kernel between two timestamps of the device.

use anyhow::{Result, anyhow, ensure};
use web_time::Instant;

use super::GpuExecutor;
use super::clock::doubt;
use super::kernel::Fresh;
use super::timestamps::Timestamps;
use crate::executor::Executor;
use crate::plan::Phase;
use crate::trace::{Span, Track};

impl GpuExecutor {
    /// Runs steps, each in its own submission, and returns when the host encoded and submitted each of them and when
    /// the device ran each kernel.
    ///
    /// The clocks of host and device have no common zero. The first kernel is assumed to begin when the first step had
    /// been submitted.
    pub(super) async fn trace_steps(&mut self, phase: Phase, steps: usize) -> Result<Vec<Span>> {
        let gpu = self.gpu.clone();
        let calls = self.plan().calls(phase).len();
        let most = Timestamps::MOST / 2;
        ensure!(calls * steps <= most, "{steps} steps of {calls} calls are too many for one timeline");
        let not_timed =
            |doubt: String| anyhow!("{} cannot time kernels: the device's clock is not used, {doubt}", gpu.info);
        let timestamps = Timestamps::trusted(&gpu, calls * steps).await?.map_err(not_timed)?;
        let mut spans = Vec::new();
        let start = Instant::now();
        for step in 0..steps {
            let encode_start = start.elapsed().as_secs_f64();
            let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let mut fresh = Fresh::default();
            for (index, dispatch) in self.phase(phase).iter().enumerate() {
                timestamps.encode(&mut encoder, step * calls + index, std::iter::once(dispatch), &mut fresh);
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
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        timestamps.resolve(&mut encoder);
        let submission = gpu.queue.submit([encoder.finish()]);
        let what = self.describe_steps(phase, &(0..steps));
        let times = timestamps.read(&gpu, submission, &what).await?;
        let waited = start.elapsed().as_secs_f64();
        if let Some(doubt) = times.iter().find_map(|[begin, end]| doubt(end - begin, [0.0, waited])) {
            return Err(not_timed(doubt));
        }
        let submitted = spans.last().map_or(0.0, |span| span.start_seconds + span.seconds);
        spans.push(Span {
            track: Track::Host,
            name: "wait".to_owned(),
            details: vec![],
            start_seconds: submitted,
            seconds: waited - submitted,
        });
        for (number, [begin, end]) in times.into_iter().enumerate() {
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
                start_seconds: first_submitted + begin,
                seconds: end - begin,
            });
        }
        self.counters.steps += steps as u64;
        self.counters.submissions += steps as u64;
        Ok(spans)
    }
}
