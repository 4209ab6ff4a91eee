//! Clipping of gradients by their norm (Pascanu et al., "On the difficulty of training recurrent neural networks",
//! 2013), as PyTorch's `clip_grad_norm_`: the square root of the sum of the squares of all gradients, `norm`, becomes
//! `most` at most.
//!
//! ```text
//! grad_scale = min(1, most / (norm + 1e-6))
//! ```
//!
//! The optimizer multiplies the gradients by `grad_scale`.

use std::sync::Arc;

use super::segments::{BLOCK, Segments};
use crate::op::{MAX_WORKGROUP, Op, Operand, Sizes, Variant, shader, sum_tolerance};
use crate::random::Random;
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;

/// PyTorch's addend, which keeps the division finite.
const EPSILON: f64 = 1e-6;

/// The sum of the squares of each block of gradients: `grad_partial`, `blocks` to `square_partial` `[parameters / 64]`.
#[derive(Clone, Debug, PartialEq)]
pub struct GradSquares(pub Segments);

impl GradSquares {
    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        Segments::awkward().map(Self).into()
    }
}

impl Op for GradSquares {
    fn name(&self) -> &'static str {
        "grad_squares"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn operands(&self) -> Vec<Operand> {
        let blocks = self.0.parameters() / BLOCK;
        vec![self.0.grad_partial(), self.0.table(), Operand::write("square_partial", F32, [blocks])]
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("grad_squares":
            "shared/linear", "shared/floats_f32", "shared/single", "shared/segments", "shared/partials", "grad_squares");
        vec![Variant::linear(shader, self.0.parameters() / BLOCK, BLOCK * (1 + self.0.most_chunks()))]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [partial, _, squares] = tensors else { unreachable!("three operands") };
        squares.f32_mut().fill(0.0);
        for (start, grads) in self.0.sums(partial.f32()) {
            let sums = grads.chunks(BLOCK).map(|block| block.iter().map(|grad| grad * grad).sum::<f64>());
            squares.f32_mut()[start / BLOCK..].iter_mut().zip(sums).for_each(|(square, sum)| *square = sum as f32);
        }
    }

    fn flops(&self) -> u64 {
        (self.0.gradients() + 2 * self.0.parameters()) as u64
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(BLOCK) + 2.0 * self.0.tolerance()
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let values: Vec<f32> = (0..self.0.gradients()).map(|_| random.uniform(-1.0, 1.0)).collect();
        let squares = HostTensor::zeros(F32, [self.0.parameters() / BLOCK].into());
        vec![HostTensor::from_f32([values.len()], &values), self.0.blocks(), squares]
    }
}

/// `square_partial` to `grad_scale` `[1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradClip {
    /// Blocks of gradients.
    pub blocks: usize,
    /// The largest norm that is left alone.
    pub most: f64,
}

impl GradClip {
    /// Sizes at which kernels often fail, with norms that are clipped, norms that are not, and one that is nearly 0.
    pub(super) fn awkward() -> Vec<Self> {
        [(1, 0.5), (2, 1e6), (255, 1.0), (257, 3.0), (4099, 0.25), (3, 1e-5)]
            .map(|(blocks, most)| Self { blocks, most })
            .into()
    }
}

impl Op for GradClip {
    fn name(&self) -> &'static str {
        "grad_clip"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("blocks", self.blocks as f64), ("most", self.most)]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { blocks: sizes.size("blocks")?, ..*self }))
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read("square_partial", F32, [self.blocks]), Operand::write("grad_scale", F32, [1])]
    }

    fn variants(&self) -> Vec<Variant> {
        let size = MAX_WORKGROUP;
        let iterations = self.blocks.div_ceil(size) + size.ilog2() as usize + 1;
        vec![Variant::tiled(shader!("grad_clip"), 1, size, iterations).sharing(4 * size)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [squares, scale] = tensors else { unreachable!("two operands") };
        let norm = squares.f32().iter().map(|&square| f64::from(square)).sum::<f64>().sqrt();
        scale.f32_mut()[0] = (self.most / (norm + EPSILON)).min(1.0) as f32;
    }

    fn flops(&self) -> u64 {
        self.blocks as u64
    }

    /// A sum, a square root and a division, which have a small error in WGSL.
    fn tolerance(&self) -> f64 {
        sum_tolerance(self.blocks) + 8.0 * f64::from(f32::EPSILON)
    }

    /// Squares are as small as the largest norm's, so that there too some norms are clipped.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let largest = (2.0 * self.most).powi(2).min(1.0) as f32;
        let squares: Vec<f32> = (0..self.blocks).map(|_| random.uniform(0.0, largest)).collect();
        vec![HostTensor::from_f32([self.blocks], &squares), HostTensor::zeros(F32, [1].into())]
    }
}
