//! Dense (fully connected) layers. Weights are `[inputs, outputs]`, so that neighbouring outputs are neighbours in
//! memory.
//!
//! ```text
//! output[n,o]      = rectified(bias[o] + Σ_k input[n,k] · weight[k,o])
//! weight_grad[k,o] = Σ_n input[n,k] · output_grad[n,o]
//! bias_grad[o]     = Σ_n output_grad[n,o]
//! input_grad[n,k]  = Σ_o output_grad[n,o] · weight[k,o], before the rectifier that made input[n,k]
//! ```
//!
//! Every kernel that writes an element also does what follows it: the bias, the rectifier or its gradient, and, after a
//! last layer, softmax and cross-entropy.

mod backward;
mod cross_entropy;
mod forward;
mod half;
mod products;
mod shaders;

pub use backward::{DenseBackward, DenseBackwardWeight};
pub use cross_entropy::DenseCrossEntropyForward;
pub use forward::DenseForward;

use super::product;
use crate::op::{SUBGROUP_LANES, Sizes};

/// Rows of sums of an invocation that shares lanes: four for each of the lanes that load for the others.
const TILE_ROWS: usize = 4 * SUBGROUP_LANES as usize;

/// Terms of a sum that such an invocation takes at a time.
const TILE_TERMS: usize = 8;

/// The most outputs of the variants that keep all of them in registers.
const NARROW_OUTPUTS: usize = 12;

/// Sizes of a dense layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dense {
    /// Samples.
    pub batch: usize,
    /// Features of the input.
    pub inputs: usize,
    /// Features of the output.
    pub outputs: usize,
}

impl Dense {
    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("batch", self.batch as f64), ("inputs", self.inputs as f64), ("outputs", self.outputs as f64)]
    }

    fn of_sizes(sizes: &Sizes) -> Option<Self> {
        Some(Self { batch: sizes.size("batch")?, inputs: sizes.size("inputs")?, outputs: sizes.size("outputs")? })
    }

    /// FLOPs of one product for each sample, input and output.
    fn flops(&self) -> u64 {
        2 * product(&[self.batch, self.inputs, self.outputs])
    }

    /// Invocations of a workgroup of which each has four outputs.
    fn workgroup_size(&self) -> usize {
        self.outputs.div_ceil(4).next_multiple_of(SUBGROUP_LANES as usize).min(64)
    }

    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        [
            (1, 1, 1),
            (1, 7, 10),
            (3, 65, 2),
            (17, 129, 11),
            (64, 64, 64),
            (131, 31, 10),
            (2, 50_176, 3),
            (5, 3, 257),
            (5, 6, 9),
            (9, 12, 12),
            (6, 8, 5),
            (2081, 5, 3),
            (131, 36, 132),
            (3, 8, 20),
            (33, 20, 100),
            (4, 16, 1000),
        ]
        .map(|(batch, inputs, outputs)| Self { batch, inputs, outputs })
        .into()
    }

    /// The same with an even `written`, which half precision writes two to a word.
    pub(super) fn awkward_f16(written: fn(&Self) -> usize) -> Vec<Self> {
        let sizes = [
            (1, 2, 2),
            (1, 7, 10),
            (1, 6, 3),
            (3, 66, 2),
            (17, 129, 12),
            (4, 10, 9),
            (64, 64, 64),
            (131, 30, 10),
            (3, 50_176, 4),
            (5, 4, 258),
            (5, 6, 10),
            (9, 12, 12),
            (6, 8, 6),
            (2081, 6, 4),
            (33, 20, 100),
        ];
        let all = sizes.into_iter().map(|(batch, inputs, outputs)| Self { batch, inputs, outputs });
        all.filter(|dense| written(dense).is_multiple_of(2)).collect()
    }
}
