//! The one place where the host waits for a device.

use anyhow::{Context, Result};

use super::Gpu;

impl Gpu {
    /// Waits for what a callback of wgpu sends.
    ///
    /// Callbacks run inside `poll`. A native device is polled until the submission is done, which blocks; in a browser
    /// polling does nothing, the event loop runs the callbacks, and the channel is awaited.
    pub(super) async fn wait<T>(
        &self,
        submission: Option<wgpu::SubmissionIndex>,
        receiver: &flume::Receiver<T>,
    ) -> Result<T> {
        let wait = wgpu::PollType::Wait { submission_index: submission, timeout: None };
        self.device.poll(wait).with_context(|| format!("waiting for {} failed", self.info))?;
        self.ensure_healthy()?;
        receiver.recv_async().await.with_context(|| format!("{} ended without an answer", self.info))
    }

    /// Hears when the device has finished all that was submitted so far.
    pub(super) fn done(&self) -> flume::Receiver<()> {
        let (sender, done) = flume::bounded(1);
        self.queue.on_submitted_work_done(move || {
            // Nobody listens any more only where an earlier wait has failed.
            let _ = sender.send(());
        });
        done
    }

    /// Reads a buffer that the host can map, after the given submission.
    pub(super) async fn read_mapped(
        &self,
        buffer: &wgpu::Buffer,
        submission: Option<wgpu::SubmissionIndex>,
    ) -> Result<Vec<u32>> {
        let (sender, receiver) = flume::bounded(1);
        buffer.map_async(wgpu::MapMode::Read, .., move |result| {
            // Nobody listens any more only where an earlier wait has failed.
            let _ = sender.send(result);
        });
        self.wait(submission, &receiver).await?.with_context(|| format!("cannot read from {}", self.info))?;
        let words = {
            let view = buffer.get_mapped_range(..).with_context(|| format!("cannot read from {}", self.info))?;
            bytemuck::pod_collect_to_vec(&view)
        };
        buffer.unmap();
        Ok(words)
    }
}
