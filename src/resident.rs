//! Uploads to a device before a run, and during one: data, parameters, the order of the batches and the clock.

use std::ops::Range;

use crate::data::Samples;
use crate::executor::{Executor, Feed, Part};
use crate::ops::batch::{CLOCK_LENGTH, NO_SAMPLE};
use crate::plan::{Plan, TensorId};
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

/// Images that lie on the host, because there is no room for them on the device: it has those of a few steps, which come in
/// the order in which they are read.
pub(crate) struct Stream {
    images: Vec<u8>,
    labels: Vec<u16>,
    /// Bytes of an image, and images of a batch.
    image_bytes: usize,
    batch: usize,
    /// Steps that there is room for.
    steps: usize,
    /// The tensors of the images, the labels and the order.
    tensors: [TensorId; 3],
    /// The images of the run's steps, as indices into all sets.
    order: Vec<u32>,
}

impl Stream {
    /// Steps for whose images there is room in tensors of so many bytes.
    pub(crate) fn steps_within(most_bytes: u64, batch: usize, image_bytes: usize) -> usize {
        const MOST_STEPS: u64 = 64;
        (most_bytes / (batch * image_bytes) as u64).clamp(1, MOST_STEPS) as usize
    }

    /// The images of some sets, one after the other, for a plan that has room for those of `steps` steps.
    pub(crate) fn new(sets: &[&Samples], image_bytes: usize, steps: usize, plan: &Plan) -> Self {
        Self {
            images: sets.iter().flat_map(|set| &set.images).copied().collect(),
            labels: sets.iter().flat_map(|set| &set.labels).copied().collect(),
            image_bytes,
            batch: plan.batch,
            steps,
            tensors: [plan.host.images, plan.host.labels, plan.host.order],
            order: vec![],
        }
    }

    /// Sets the images of the next run, of which the last batch may lack some.
    pub(crate) fn set_order(&mut self, order: &[u32]) {
        self.order = order.to_vec();
        self.order.resize(order.len().next_multiple_of(self.batch), NO_SAMPLE);
    }
}

impl Feed for Stream {
    fn most_steps(&self) -> usize {
        self.steps
    }

    /// The images of the steps from the beginning of the tensors on, and in the order their places there.
    fn parts(&mut self, steps: Range<usize>) -> Vec<Part> {
        let places = steps.start * self.batch..steps.end * self.batch;
        let (mut images, mut labels, mut order) = (vec![], vec![], vec![]);
        for &index in &self.order[places.clone()] {
            if index == NO_SAMPLE {
                order.push(NO_SAMPLE);
                continue;
            }
            order.push(labels.len() as u32);
            images.extend_from_slice(&self.images[index as usize * self.image_bytes..][..self.image_bytes]);
            labels.push(u32::from(self.labels[index as usize]));
        }
        let [of_images, of_labels, of_order] = self.tensors;
        let part = |tensor, first, words| Part { tensor, first, words };
        vec![
            part(of_images, 0, pack_bytes(&[&images])),
            part(of_labels, 0, labels),
            part(of_order, places.start, order),
        ]
    }
}

/// Writes the order of the next batches, padded with "no sample", and sets the clock.
pub(crate) fn write_order(executor: &mut dyn Executor, order: &[u32], step: usize, seed: u64) {
    let tensor = executor.plan().host.order;
    let mut words = order.to_vec();
    words.resize(executor.plan().tensor(tensor).shape.len(), NO_SAMPLE);
    executor.write(tensor, &words);
    write_clock(executor, step, seed);
}

/// Sets the clock to a step of the run, which is the first of the order.
pub(crate) fn write_clock(executor: &mut dyn Executor, step: usize, seed: u64) {
    let clock = executor.plan().host.clock;
    executor.write(clock, &clock_at(step, seed));
}

/// The clock at a step of the run, which is the first of its epoch.
pub(crate) fn clock_at(step: usize, seed: u64) -> [u32; CLOCK_LENGTH] {
    [step as u32, 0, seed as u32 ^ (seed >> 32) as u32, 0]
}
