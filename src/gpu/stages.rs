//! Steps whose results are read in part while the rest still runs.

use anyhow::Result;

use super::executor::{GpuExecutor, Place};
use super::kernel::{Fresh, encode, staging_buffer};
use crate::plan::{Phase, Stage, TensorId};

impl GpuExecutor {
    /// Submits all stages, and then waits for each of which something is read.
    pub(super) async fn stages(
        &mut self,
        phase: Phase,
        stages: &[Stage],
        ready: &mut dyn FnMut(usize, Vec<Vec<u32>>),
    ) -> Result<()> {
        self.reserve_copies(stages);
        let mut submitted = Vec::new();
        for (Stage { calls, tensors }, copy) in stages.iter().zip(&self.stage_copies) {
            let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encode(&mut encoder, self.phase(phase)[calls.clone()].iter(), &mut Fresh::default());
            let mut end = 0;
            for tensor in tensors {
                let Place { buffer, offset, size } = &self.places[tensor.0];
                encoder.copy_buffer_to_buffer(buffer, *offset, copy, end, size.get());
                end += size.get();
            }
            submitted.push(self.gpu.queue.submit([encoder.finish()]));
        }
        self.lone_call = None;
        self.counters.submissions += submitted.len() as u64;
        let what = self.describe_steps(phase, &(0..1));
        for (index, (Stage { tensors, .. }, submission)) in stages.iter().zip(submitted).enumerate() {
            if tensors.is_empty() {
                continue;
            }
            self.counters.reads += tensors.len() as u64;
            let words = self.gpu.read_mapped(&self.stage_copies[index], Some(submission), &what).await?;
            let mut rest = &words[..];
            let part = |&tensor: &TensorId| {
                let (part, after) = rest.split_at(self.plan.tensor(tensor).words());
                rest = after;
                part.to_vec()
            };
            ready(index, tensors.iter().map(part).collect());
        }
        Ok(())
    }

    /// Makes room for what is read of each stage; of the same stages only once.
    fn reserve_copies(&mut self, stages: &[Stage]) {
        for (index, Stage { tensors, .. }) in stages.iter().enumerate() {
            let words = tensors.iter().map(|&tensor| self.plan.tensor(tensor).words()).sum::<usize>().max(1);
            if self.stage_copies.get(index).is_none_or(|copy| copy.size() < 4 * words as u64) {
                let copy = staging_buffer(&self.gpu, words);
                self.counters.allocations += 1;
                self.stage_copies.truncate(index);
                self.stage_copies.push(copy);
            }
        }
    }
}
