//! Uploads to a device before a run: data, parameters, the order of the batches and the clock.

use crate::executor::Executor;
use crate::ops::batch::{CLOCK_LENGTH, NO_SAMPLE};
use crate::tensor::{HostTensor, pack_bytes};

/// The images and labels of several sets, concatenated as on the device.
pub(crate) struct ResidentData {
    images: Vec<u32>,
    labels: Vec<u32>,
}

impl ResidentData {
    /// Packs sets of images and labels.
    pub(crate) fn pack(sets: &[(&[u8], &[u16])]) -> Self {
        let (images, labels): (Vec<&[u8]>, Vec<&[u16]>) = sets.iter().copied().unzip();
        Self { images: pack_bytes(&images), labels: labels.concat().into_iter().map(u32::from).collect() }
    }

    pub(crate) fn upload(&self, executor: &mut dyn Executor) {
        let (images, labels) = (executor.plan().host.images, executor.plan().host.labels);
        executor.write(images, &self.images);
        executor.write(labels, &self.labels);
    }
}

/// Writes parameters, in the order of [`Model::parameters`](crate::model::Model::parameters).
pub(crate) fn write_parameters(executor: &mut dyn Executor, parameters: &[HostTensor]) {
    for (parameter, values) in executor.plan().host.parameters.clone().iter().zip(parameters) {
        let words = parameter.arranged(values);
        executor.write(parameter.tensor, &words);
        if let Some(average) = parameter.average {
            executor.write(average, &words);
        }
    }
}

/// Writes the order of the next batches, padded with "no sample", and sets the clock.
pub(crate) fn write_order(executor: &mut dyn Executor, order: &[u32], step: usize, seed: u64) {
    let (tensor, clock) = (executor.plan().host.order, executor.plan().host.clock);
    let mut words = order.to_vec();
    words.resize(executor.plan().tensor(tensor).shape.len(), NO_SAMPLE);
    executor.write(tensor, &words);
    executor.write(clock, &clock_at(step, seed));
}

/// The clock at a step of the run, which is the first of its epoch.
pub(crate) fn clock_at(step: usize, seed: u64) -> [u32; CLOCK_LENGTH] {
    [step as u32, 0, seed as u32 ^ (seed >> 32) as u32, 0]
}
