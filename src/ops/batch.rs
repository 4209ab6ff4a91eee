//! The start and the end of a step: gather the batch from the resident data set, store its metrics, advance the clock.
//!
//! The clock is a tensor of four words, `step`, `cursor`, `seed` and `fault`: the step in the run (the row of the schedule),
//! the step in the epoch (the index in the shuffled order and in the history), the seed of dropout, and 1 once a parameter has left
//! the range of floats. It is on the device, so that all steps consist of the same commands.

use std::sync::Arc;

use rayon::prelude::*;

use super::cross_entropy::NO_LABEL;
use super::half::Half;
use crate::op::{AdapterClass, MAX_WORKGROUP, Op, Operand, Sizes, Variant, shader, sum_tolerance};
use crate::random::Random;
use crate::tensor::DType::{F32, U32};
use crate::tensor::{HostTensor, pack_bytes};

/// Words of the clock: step, cursor, seed, fault.
pub const CLOCK_LENGTH: usize = 4;

/// The most words of four pixels that an invocation gathers in software.
const MOST_RUN_WORDS: usize = 8;

/// An entry of the order that means "no sample here".
pub const NO_SAMPLE: u32 = u32::MAX;

/// `images`, `labels`, `order`, `clock` to `output` and `label`:
/// the bytes of the batch's images as `byte · scale + shift`, and their labels.
///
/// With `index = order[cursor·batch + n]`, an index outside the data set gives an image of zeros and [`NO_LABEL`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchGather {
    /// Samples of a batch.
    pub batch: usize,
    /// Bytes of an image.
    pub pixels: usize,
    /// Images of the data set.
    pub count: usize,
    /// Entries of the order: batches of an epoch times samples of a batch.
    pub order_length: usize,
    /// The factor of a byte.
    pub scale: f64,
    /// The offset, added after multiplication.
    pub shift: f64,
}

impl BatchGather {
    /// Stores the labels of the batch, and for each sample of the data set what `fill` makes of its image; it is also
    /// told the place in the batch.
    pub(super) fn gather(&self, tensors: &mut [HostTensor], fill: impl Fn(usize, Image<'_>, &mut [f32]) + Sync) {
        let [images, labels, order, clock, output, label] = tensors else { unreachable!("six operands") };
        let [_, cursor, ..] = clock.u32() else { unreachable!("a clock has {CLOCK_LENGTH} words") };
        let order = &order.u32()[*cursor as usize * self.batch..][..self.batch];
        let samples = output.f32_mut().par_chunks_exact_mut(self.pixels).zip(label.u32_mut()).zip(order);
        samples.enumerate().for_each(|(n, ((output, label), &index))| {
            let index = index as usize;
            if index >= self.count {
                output.fill(0.0);
                *label = NO_LABEL;
                return;
            }
            fill(n, Image { words: images.u32(), start: index * self.pixels }, output);
            *label = labels.u32()[index];
        });
    }

    /// The same at other sizes, unless the order has less than a batch.
    pub(super) fn resized(&self, sizes: &Sizes) -> Option<Self> {
        let [batch, pixels, count, order_length] =
            ["batch", "pixels", "count", "order_length"].map(|name| sizes.size(name));
        let resized = Self { batch: batch?, pixels: pixels?, count: count?, order_length: order_length?, ..*self };
        (resized.batch <= resized.order_length).then_some(resized)
    }

    fn image_words(&self) -> usize {
        (self.count * self.pixels).div_ceil(4)
    }

    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        [(1, 1, 1, 1), (2, 4, 5, 4), (3, 784, 7, 12), (5, 9, 11, 35), (66, 49, 31, 66)].map(Self::normalized).into()
    }

    /// The same with an even number of pixels, which half precision needs.
    pub(super) fn awkward_f16() -> Vec<Self> {
        [(1, 2, 1, 1), (3, 784, 7, 12), (5, 10, 11, 35), (66, 50, 31, 66)].map(Self::normalized).into()
    }

    pub(super) fn normalized((batch, pixels, count, order_length): (usize, usize, usize, usize)) -> Self {
        Self { batch, pixels, count, order_length, scale: 1.0 / 255.0 / 0.3081, shift: -0.1307 / 0.3081 }
    }
}

fn byte(words: &[u32], index: usize) -> u8 {
    words[index / 4].to_le_bytes()[index % 4]
}

/// An image of the resident data set.
pub(super) struct Image<'a> {
    words: &'a [u32],
    start: usize,
}

impl Image<'_> {
    /// Its byte in memory order.
    pub(super) fn byte(&self, p: usize) -> u8 {
        byte(self.words, self.start + p)
    }
}

impl Op for BatchGather {
    fn name(&self) -> &'static str {
        "batch_gather"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("batch", self.batch as f64),
            ("pixels", self.pixels as f64),
            ("count", self.count as f64),
            ("order_length", self.order_length as f64),
            ("scale", self.scale),
            ("shift", self.shift),
        ]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(self.resized(sizes)?))
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("images", U32, [self.image_words()]),
            Operand::read("labels", U32, [self.count]),
            Operand::read("order", U32, [self.order_length]),
            Operand::read("clock", U32, [CLOCK_LENGTH]),
            Operand::write("output", F32, [self.batch, self.pixels]),
            Operand::write("label", U32, [self.batch]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let values = self.batch * self.pixels;
        let quads = self.pixels / 4;
        let words = (1..=MOST_RUN_WORDS).rev().find(|&words| quads.is_multiple_of(words)).unwrap_or(1);
        let run = shader!("batch_gather.run": "shared/linear", "shared/batch_gather", "batch_gather.quad");
        let run =
            Variant::linear(run, values / 4 / words, words).constant("words", words).made_for(AdapterClass::SOFTWARE);
        let quad = shader!("batch_gather.quad": "shared/linear", "shared/batch_gather", "batch_gather.quad");
        let quad = Variant::linear(quad, values / 4, 1).constant("words", 1);
        let by_words = if self.pixels.is_multiple_of(4) { vec![run, quad] } else { vec![] };
        let plain =
            shader!("batch_gather": "shared/linear", "shared/floats_f32", "shared/batch_gather", "batch_gather");
        by_words.into_iter().chain([Variant::linear(plain, values, 0)]).collect()
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        self.gather(tensors, |_, image, output| {
            for (p, output) in output.iter_mut().enumerate() {
                *output = f32::from(image.byte(p)) * self.scale as f32 + self.shift as f32;
            }
        });
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }

    fn flops(&self) -> u64 {
        2 * (self.batch * self.pixels) as u64
    }

    /// Only the batch's bytes count, because the rest of the data set is not read.
    fn cost(&self) -> crate::op::Cost {
        let bytes = self.batch * (self.pixels * (1 + 4) + 4 + 4 + 4);
        crate::op::Cost { flops: self.flops(), bytes: bytes as u64 }
    }

    fn tolerance(&self) -> f64 {
        2.0 * f64::from(f32::EPSILON)
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let images: Vec<u8> = (0..4 * self.image_words()).map(|_| random.bits() as u8).collect();
        let labels: Vec<u32> = (0..self.count).map(|_| random.below(1_000)).collect();
        let order: Vec<u32> = (0..self.order_length)
            .map(|_| match random.below(8) {
                0 => NO_SAMPLE,
                1 => self.count as u32,
                _ => random.below(self.count as u32),
            })
            .collect();
        let cursor = random.below((self.order_length / self.batch) as u32);
        vec![
            HostTensor::from_u32([self.image_words()], &pack_bytes(&[&images])),
            HostTensor::from_u32([self.count], &labels),
            HostTensor::from_u32([self.order_length], &order),
            HostTensor::from_u32([CLOCK_LENGTH], &[random.below(1000), cursor, random.bits(), 0]),
            HostTensor::zeros(F32, [self.batch, self.pixels].into()),
            HostTensor::zeros(U32, [self.batch].into()),
        ]
    }
}

/// Columns of the history: the batch's sum of losses, its number of hits, and 1 if a parameter has left the floats.
pub const HISTORY_COLUMNS: usize = 3;

/// The end of a step: `loss`, `hit` and the `fault` of `clock` to row `cursor` of `history` `[rows, 3]`, the batch's sum of losses,
/// number of hits, and fault; then the `step` and the `cursor` of `clock` advance. Operands: `loss`, `hit`, `clock`, `history`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StepFinish {
    /// Samples of a batch.
    pub batch: usize,
    /// Rows of the history: the most batches of an epoch.
    pub rows: usize,
}

impl StepFinish {
    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        [(1, 1), (7, 3), (128, 5), (2049, 2)].map(|(batch, rows)| Self { batch, rows }).into()
    }
}

impl Op for StepFinish {
    fn name(&self) -> &'static str {
        "step_finish"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("batch", self.batch as f64), ("rows", self.rows as f64)]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { batch: sizes.size("batch")?, rows: sizes.size("rows")? }))
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("loss", F32, [self.batch]),
            Operand::read("hit", U32, [self.batch]),
            Operand::update("clock", U32, [CLOCK_LENGTH]),
            Operand::update("history", F32, [self.rows, HISTORY_COLUMNS]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let size = MAX_WORKGROUP;
        let iterations = self.batch.div_ceil(size) + size.ilog2() as usize;
        let plain = shader!("step_finish": "shared/metrics", "step_finish");
        let tree = shader!("step_finish.tree": "shared/metrics", "step_finish.tree");
        vec![
            Variant::tiled(tree, 1, size, iterations).sharing(8 * size).made_for(AdapterClass::GPUS),
            Variant::single(plain, self.batch),
        ]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [loss, hit, clock, history] = tensors else { unreachable!("four operands") };
        let row = clock.u32()[1] as usize;
        let sum: f64 = loss.f32().iter().map(|&loss| f64::from(loss)).sum();
        let hits: u32 = hit.u32().iter().sum();
        let values = [sum as f32, hits as f32, clock.u32()[3] as f32];
        history.f32_mut()[HISTORY_COLUMNS * row..][..HISTORY_COLUMNS].copy_from_slice(&values);
        for word in &mut clock.u32_mut()[..2] {
            *word += 1;
        }
    }

    fn flops(&self) -> u64 {
        2 * self.batch as u64
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.batch)
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let losses: Vec<f32> = (0..self.batch).map(|_| random.uniform(0.0, 3.0)).collect();
        let hits: Vec<u32> = (0..self.batch).map(|_| random.below(2)).collect();
        let history: Vec<f32> = (0..HISTORY_COLUMNS * self.rows).map(|_| random.uniform(0.0, 1.0)).collect();
        let row = random.below(self.rows as u32);
        vec![
            HostTensor::from_f32([self.batch], &losses),
            HostTensor::from_u32([self.batch], &hits),
            HostTensor::from_u32([CLOCK_LENGTH], &[random.below(1000), row, random.bits(), random.below(2)]),
            HostTensor::from_f32([self.rows, HISTORY_COLUMNS], &history),
        ]
    }
}
