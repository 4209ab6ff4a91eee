//! Sums over the batch, split into partial sums so that many invocations share the work and none loops too long.
//!
//! The first pass sums each chunk of samples, [`ChunkSum`] adds the chunks in order; so the same sizes give the same
//! bits, which atomic additions would not.

use crate::op::{Op, Operand, Variant, shader, sum_tolerance};
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;

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
