//! Ops that measure the peaks of an adapter and are not used for training.
//!
//! They are verified like all other ops, so that a peak never comes from a wrong kernel.

use std::sync::Arc;

use rayon::prelude::*;

use super::product;
use crate::op::{AdapterClass, Feature, Op, Operand, Sizes, Variant, shader, sum_tolerance};
use crate::random::Random;
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;

/// Multiply-adds of a chain in one iteration of the kernel.
const STEPS_PER_ROUND: usize = 16;

/// Chains of an invocation: the lanes of two `vec4`.
const CHAINS: usize = 8;

/// `input` to `output`: eight chains of `16 · rounds` multiply-adds each, added up.
///
/// ```text
/// output[i] = Σ over chains of x, where 16 · rounds times x = 0.75 · x + input[i], from x = 0 in four and 1 in four
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FmaChain {
    /// Elements.
    pub length: usize,
    /// Iterations of the kernel.
    pub rounds: usize,
}

impl FmaChain {
    /// The sum of the chains that add `input`: the geometric series in closed form, so that a long chain costs no more
    /// than a short one.
    fn sum(&self, input: f32) -> f32 {
        let shrunk = 0.75f64.powi((STEPS_PER_ROUND * self.rounds) as i32);
        let chain = |start: f64| shrunk * start + f64::from(input) * (1.0 - shrunk) / (1.0 - 0.75);
        (4.0 * (chain(0.0) + chain(1.0))) as f32
    }

    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        [(1, 1), (65, 3), (4099, 2)].map(|(length, rounds)| Self { length, rounds }).into()
    }
}

impl Op for FmaChain {
    fn name(&self) -> &'static str {
        "fma_chain"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("length", self.length as f64), ("rounds", self.rounds as f64)]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { length: sizes.size("length")?, rounds: sizes.size("rounds")? }))
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read("input", F32, [self.length]), Operand::write("output", F32, [self.length])]
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("fma_chain": "shared/chain_f32", "shared/linear", "fma_chain");
        vec![Variant::linear(shader, self.length, self.rounds)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, output] = tensors else { unreachable!("two operands") };
        output.f32_mut().par_iter_mut().zip(input.f32()).for_each(|(output, &input)| *output = self.sum(input));
    }

    fn flops(&self) -> u64 {
        2 * product(&[self.length, CHAINS, STEPS_PER_ROUND, self.rounds])
    }

    /// Small numbers, so that a wrong start or a wrong number of steps of a chain is detected.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let values: Vec<f32> = (0..self.length).map(|_| random.uniform(-0.01, 0.01)).collect();
        vec![HostTensor::from_f32([self.length], &values), HostTensor::zeros(F32, [self.length].into())]
    }

    /// Rounding errors shrink by a quarter with each step, so that about four of them add up.
    fn tolerance(&self) -> f64 {
        8.0 * f64::from(f32::EPSILON)
    }
}

/// [`FmaChain`] in 16-bit floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FmaChainF16(pub FmaChain);

impl Op for FmaChainF16 {
    fn name(&self) -> &'static str {
        "fma_chain_f16"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self(FmaChain { length: sizes.size("length")?, rounds: sizes.size("rounds")? })))
    }

    fn operands(&self) -> Vec<Operand> {
        self.0.operands()
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("fma_chain_f16": "shared/chain_f16", "shared/linear", "fma_chain");
        vec![Variant::linear(shader, self.0.length, self.0.rounds).with(Feature::F16)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        self.0.reference(tensors);
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        self.0.test_inputs(random)
    }

    fn flops(&self) -> u64 {
        self.0.flops()
    }

    /// A 16-bit float has 11 bits; errors shrink by a quarter with each step.
    fn tolerance(&self) -> f64 {
        4.0 / f64::from(1 << 10)
    }
}

/// Tiles of a workgroup of the matrix variants of [`MatrixChain`].
const TILES_PER_GROUP: usize = 16;

/// `left`, `right` to `output`: each square tile of `left` times `right`, added up `rounds` times.
///
/// 16-bit floats must hold the numbers exactly, because the variants with matrix units convert them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MatrixChain {
    /// Groups of 16 tiles.
    pub groups: usize,
    /// Rows and columns of a tile.
    pub size: usize,
    /// How often the product is added.
    pub rounds: usize,
}

impl MatrixChain {
    /// The tile sizes of the matrix variants.
    pub const SIZES: [usize; 2] = [8, 16];

    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        [(1, 8, 1), (3, 8, 7), (1, 16, 2), (5, 16, 3), (2, 5, 4), (5, 4, 1)]
            .map(|(groups, size, rounds)| Self { groups, size, rounds })
            .into()
    }
}

impl Op for MatrixChain {
    fn name(&self) -> &'static str {
        "matrix_chain"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("groups", self.groups as f64), ("size", self.size as f64), ("rounds", self.rounds as f64)]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { groups: sizes.size("groups")?, rounds: sizes.size("rounds")?, ..*self }))
    }

    fn operands(&self) -> Vec<Operand> {
        let tiles = [TILES_PER_GROUP * self.groups, self.size, self.size];
        vec![
            Operand::read("left", F32, tiles),
            Operand::read("right", F32, [self.size, self.size]),
            Operand::write("output", F32, tiles),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let elements = TILES_PER_GROUP * self.groups * self.size * self.size;
        let plain = shader!("matrix_chain": "shared/linear", "shared/matrix_chain", "matrix_chain");
        let plain = Variant::linear(plain, elements, self.rounds * (1 + self.size));
        let shader = match self.size {
            8 => shader!("matrix_chain.matrix8": "shared/matrix8", "shared/matrix_chain", "matrix_chain.matrix"),
            16 => shader!("matrix_chain.matrix16": "shared/matrix16", "shared/matrix_chain", "matrix_chain.matrix"),
            _ => return vec![plain],
        };
        // As many lanes as the largest subgroups have; where subgroups are smaller, those beyond the tiles idle.
        let lanes = 128;
        let area = self.size * self.size;
        let copies = (TILES_PER_GROUP * area).div_ceil(lanes) + area.div_ceil(lanes);
        let matrices = Variant {
            workgroups: [self.groups as u32, 1, 1],
            ..Variant::single(shader, TILES_PER_GROUP / 4 * (self.rounds + 1) + copies)
        };
        let matrices = matrices.constant("workgroup_size", lanes).sharing(2 * (TILES_PER_GROUP + 1) * area);
        vec![matrices.with(Feature::CooperativeMatrix { size: self.size as u32 }).made_for(AdapterClass::GPUS), plain]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [left, right, output] = tensors else { unreachable!("three operands") };
        let (size, rounds) = (self.size, self.rounds as f64);
        let (left, right) = (left.f32(), right.f32());
        output.f32_mut().par_iter_mut().enumerate().for_each(|(i, output)| {
            let (row, x) = (i / size * size, i % size);
            let product = |k: usize| f64::from(left[row + k]) * f64::from(right[k * size + x]);
            *output = (rounds * (0..size).map(product).sum::<f64>()) as f32;
        });
    }

    fn flops(&self) -> u64 {
        2 * product(&[TILES_PER_GROUP, self.groups, self.size.pow(3), self.rounds])
    }

    /// Multiples of an eighth from [-1, 1]: 16-bit floats hold them and 32-bit floats their sums.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let eighth = |operand: Operand| {
            let values: Vec<f32> = (0..operand.shape.len()).map(|_| random.uniform(-8.5, 8.5).round() / 8.0).collect();
            HostTensor::from_f32(operand.shape, &values)
        };
        self.operands().into_iter().map(eighth).collect()
    }

    /// Matrix units may truncate a sum instead of rounding it.
    fn tolerance(&self) -> f64 {
        sum_tolerance(self.size * self.rounds)
    }
}

/// `input` to `output`, unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BufferCopy {
    /// Elements of 16 bytes in a quarter of the buffer.
    pub quarter: usize,
}

impl BufferCopy {
    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        [1, 65, 4099].map(|quarter| Self { quarter }).into()
    }
}

impl Op for BufferCopy {
    fn name(&self) -> &'static str {
        "buffer_copy"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("quarter", self.quarter as f64)]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { quarter: sizes.size("quarter")? }))
    }

    fn operands(&self) -> Vec<Operand> {
        let shape = [4, self.quarter, 4];
        vec![Operand::read("input", F32, shape), Operand::write("output", F32, shape)]
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("buffer_copy": "shared/linear", "buffer_copy");
        vec![Variant::linear(shader, self.quarter, 0)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, output] = tensors else { unreachable!("two operands") };
        output.words_mut().copy_from_slice(input.words());
    }

    fn flops(&self) -> u64 {
        0
    }

    fn tolerance(&self) -> f64 {
        0.0
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

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { chunks: sizes.size("chunks")?, length: sizes.size("length")? }))
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
