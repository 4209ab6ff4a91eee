//! Sums over the batch, split into partial sums so that many invocations share the work and none loops too long.
//!
//! The first pass sums each chunk of samples, [`ChunkSum`] adds the chunks in order; so the same sizes give the same
//! bits, which atomic additions would not.

use rayon::prelude::*;

use crate::op::{MAX_ITERATIONS, Op, Operand, Variant, shader, sum_tolerance};
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;

/// The most partial sums that a sum over the batch is split into.
const MAX_CHUNKS: usize = 32;

/// Samples in one of at most [`MAX_CHUNKS`] chunks, or fewer if `iterations` a sample would exceed the loop limit of
/// drivers.
pub(super) fn samples_per_chunk(batch: usize, iterations: usize) -> usize {
    let most = (MAX_ITERATIONS as usize / iterations).max(1);
    batch.div_ceil(MAX_CHUNKS).clamp(1, most)
}

/// Gradient of a bias, in partial sums over the samples of a chunk each:
/// `output_grad` `[batch, channels, area]` to `bias_grad_partial` `[chunks, channels]`.
///
/// A dense layer is the case of `area` 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BiasBackward {
    /// Samples.
    pub batch: usize,
    /// Channels, each with one bias.
    pub channels: usize,
    /// Positions that share a bias.
    pub area: usize,
}

impl BiasBackward {
    fn samples_per_chunk(&self) -> usize {
        samples_per_chunk(self.batch, 1 + self.area)
    }

    /// Partial sums of each channel.
    pub fn chunks(&self) -> usize {
        self.batch.div_ceil(self.samples_per_chunk())
    }

    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        [(1, 1, 1), (3, 5, 7), (65, 10, 1), (131, 3, 121), (40, 2, 784), (2, 1, 59_000)]
            .map(|(batch, channels, area)| Self { batch, channels, area })
            .into()
    }
}

impl Op for BiasBackward {
    fn name(&self) -> &'static str {
        "bias_backward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("batch", self.batch as f64),
            ("channels", self.channels as f64),
            ("area", self.area as f64),
            ("samples_per_chunk", self.samples_per_chunk() as f64),
        ]
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("output_grad", F32, [self.batch, self.channels, self.area]),
            Operand::write("bias_grad_partial", F32, [self.chunks(), self.channels]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let iterations = self.samples_per_chunk() * (1 + self.area);
        let shader = shader!("bias_backward": "shared/linear", "shared/chunks", "bias_backward");
        vec![Variant::linear(shader, self.chunks() * self.channels, iterations)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [output_grad, bias_grad_partial] = tensors else { unreachable!("two operands") };
        let samples = output_grad.f32().par_chunks(self.samples_per_chunk() * self.channels * self.area);
        let chunks = bias_grad_partial.f32_mut().par_chunks_exact_mut(self.channels);
        chunks.zip(samples).for_each(|(bias_grad, output_grad)| {
            let mut sums = vec![0.0; self.channels];
            for (i, plane) in output_grad.chunks_exact(self.area).enumerate() {
                sums[i % self.channels] += plane.iter().map(|&value| f64::from(value)).sum::<f64>();
            }
            bias_grad.iter_mut().zip(sums).for_each(|(bias_grad, sum)| *bias_grad = sum as f32);
        });
    }

    fn flops(&self) -> u64 {
        (self.batch * self.channels * self.area) as u64
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.samples_per_chunk() * self.area)
    }
}

/// Sum of partial sums, in order: `partial` `[chunks, length]` to `sum` `[length]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChunkSum {
    /// Partial sums of each element.
    pub chunks: usize,
    /// Elements.
    pub length: usize,
}

impl ChunkSum {
    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        [(1, 1), (2, 63), (7, 65), (32, 1009)].map(|(chunks, length)| Self { chunks, length }).into()
    }
}

impl Op for ChunkSum {
    fn name(&self) -> &'static str {
        "chunk_sum"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("chunks", self.chunks as f64), ("length", self.length as f64)]
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read("partial", F32, [self.chunks, self.length]), Operand::write("sum", F32, [self.length])]
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("chunk_sum": "shared/linear", "chunk_sum");
        vec![Variant::linear(shader, self.length, self.chunks)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [partial, sum] = tensors else { unreachable!("two operands") };
        let mut totals = vec![0.0; self.length];
        for chunk in partial.f32().chunks_exact(self.length) {
            totals.iter_mut().zip(chunk).for_each(|(total, &value)| *total += f64::from(value));
        }
        sum.f32_mut().iter_mut().zip(totals).for_each(|(sum, total)| *sum = total as f32);
    }

    fn flops(&self) -> u64 {
        (self.chunks * self.length) as u64
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.chunks)
    }
}
