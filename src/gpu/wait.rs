//! The one place where the host waits for a device.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{AdapterKind, Gpu};

/// The environment variable that sets the time limit of a device in seconds.
const LIMIT_VARIABLE: &str = "GPU_DIGITS_WAIT_SECONDS";

/// The time limit for a group of steps or a kernel. A GPU's driver aborts work that takes more than some seconds; on
/// the CPU a single step of a large model may take minutes.
fn limit(kind: AdapterKind, wished: Option<&str>) -> Result<Duration> {
    let seconds = match (wished, kind) {
        (Some(text), _) => text.trim().parse::<f64>().ok(),
        (None, AdapterKind::Software) => Some(1800.0),
        (None, _) => Some(60.0),
    };
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration
        .with_context(|| format!("{LIMIT_VARIABLE} takes a number of seconds, not `{}`", wished.unwrap_or_default()))
}

impl Gpu {
    /// Waits with a time limit for the value that a callback of wgpu sends; `what` names the device's work.
    ///
    /// Callbacks run inside `poll`. A native device is polled until the submission is done, which blocks; in a browser
    /// polling does nothing, the event loop runs the callbacks, and the channel is awaited.
    pub(super) async fn wait<T>(
        &self,
        submission: Option<wgpu::SubmissionIndex>,
        receiver: &flume::Receiver<T>,
        what: &str,
    ) -> Result<T> {
        self.ensure_healthy()?;
        let limit = limit(self.info.kind, std::env::var(LIMIT_VARIABLE).ok().as_deref())?;
        let wait = wgpu::PollType::Wait { submission_index: submission, timeout: Some(limit) };
        match self.device.poll(wait) {
            // Later calls fail at once with the same message.
            Err(wgpu::PollError::Timeout) => Err(self.fail(format!(
                "it has not finished {what} within {} s: its driver hangs or is very slow; {LIMIT_VARIABLE}=SECONDS gives it more \
                 time",
                limit.as_secs_f64()
            ))),
            polled => {
                // Of a lost device, wgpu says less when one waits for it.
                self.ensure_healthy()?;
                polled.map(|_| ()).with_context(|| format!("waiting for {} failed", self.info))
            }
        }?;
        receiver.recv_async().await.with_context(|| format!("{} ended without an answer", self.info))
    }

    /// Receives a message when the device has finished all work submitted so far.
    pub(super) fn done(&self) -> flume::Receiver<()> {
        let (sender, done) = flume::bounded(1);
        self.queue.on_submitted_work_done(move || {
            // The receiver is gone only if an earlier wait has failed.
            let _ = sender.send(());
        });
        done
    }

    /// Reads a buffer that the host can map, after the given submission.
    pub(super) async fn read_mapped(
        &self,
        buffer: &wgpu::Buffer,
        submission: Option<wgpu::SubmissionIndex>,
        what: &str,
    ) -> Result<Vec<u32>> {
        let (sender, receiver) = flume::bounded(1);
        buffer.map_async(wgpu::MapMode::Read, .., move |result| {
            // The receiver is gone only if an earlier wait has failed.
            let _ = sender.send(result);
        });
        self.wait(submission, &receiver, what).await?.with_context(|| format!("cannot read from {}", self.info))?;
        let words = {
            let view = buffer.get_mapped_range(..).with_context(|| format!("cannot read from {}", self.info))?;
            bytemuck::pod_collect_to_vec(&view)
        };
        buffer.unmap();
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_software_may_take_longer_than_a_gpu_and_the_user_decides() {
        let seconds = |kind, wished| limit(kind, wished).unwrap().as_secs_f64();
        assert_eq!(seconds(AdapterKind::Discrete, None), 60.0);
        assert_eq!(seconds(AdapterKind::Software, None), 1800.0);
        assert_eq!(seconds(AdapterKind::Discrete, Some("0.5")), 0.5);
        for wrong in ["", "soon", "-1", "inf"] {
            assert!(limit(AdapterKind::Discrete, Some(wrong)).is_err(), "{wrong}");
        }
    }
}
