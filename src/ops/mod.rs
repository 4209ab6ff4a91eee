//! The ops and THE TABLE of them. Every op of the table is verified, tested and benchmarked; training uses no others.

pub mod augment;
pub mod average;
pub mod avg_pool;
pub mod batch;
mod blocks;
pub mod clip;
pub mod conv2d;
pub mod conv_relu_pool;
pub mod cross_entropy;
pub mod dense;
pub mod dropout;
pub mod formula;
mod fours;
pub mod half;
#[doc(hidden)]
pub mod layout;
pub mod max_pool;
pub mod norm;
pub mod optimizer;
pub mod peak;
pub mod relu;
pub mod segments;
pub mod sum;
mod threefry;
mod windows;

use std::sync::Arc;

use crate::op::Op;
use augment::{BatchAugment, ElasticField};
use average::AverageUpdate;
use avg_pool::{AvgPoolBackward, AvgPoolForward};
use batch::{BatchGather, StepFinish};
use clip::{GradClip, GradSquares};
use conv_relu_pool::{ConvReluPool, ConvReluPoolBackwardInput, ConvReluPoolBackwardWeight, ConvReluPoolForward};
use conv2d::{Conv2d, Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward};
use cross_entropy::CrossEntropy;
use dense::{Dense, DenseBackward, DenseBackwardWeight, DenseCrossEntropyForward, DenseForward};
use dropout::DropoutApply;
use formula::{awkward_lengths, awkward_lengths_f16};
use half::{Half, InHalf, ParameterCopyF16};
use max_pool::{MaxPool, MaxPoolBackward, MaxPoolForward};
use norm::{
    Norm, NormApply, NormBackwardInput, NormBackwardSums, NormBackwardWeight, NormFold, NormMoments, NormStatistics,
};
use optimizer::{AdamStep, SgdStep};
use peak::{BufferCopy, ChunkSum, FmaChain, FmaChainF16, MatrixChain};
use relu::{ReluBackward, ReluForward, SLOPES};
use sum::{SumBackward, SumForward};

/// A product as a number of 64 bits: in a browser sizes have 32, which the operations of a kernel exceed.
fn product(factors: &[usize]) -> u64 {
    factors.iter().map(|&factor| factor as u64).product()
}

/// An op at some sizes.
pub type Case = Arc<dyn Op>;

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The op's name.
    pub name: &'static str,
    /// The op at sizes at which kernels often fail: 1, primes, tiles plus and minus 1, batches that are not multiples
    /// of a tile. They stand beside the op.
    pub awkward_cases: fn() -> Vec<Case>,
}

/// The table of ops in the order of a training step, followed by those that measure an adapter.
pub const TABLE: &[Entry] = &[
    row("batch_gather", || cases(BatchGather::awkward())),
    row("elastic_field", || cases(ElasticField::awkward())),
    row("batch_augment", || cases(BatchAugment::awkward())),
    row("conv2d_forward", || {
        cases(Conv2d::with_slopes(Conv2d::awkward(), |conv, negative_slope| Conv2dForward { conv, negative_slope }))
    }),
    row("relu_forward", || {
        with_slopes(awkward_lengths(), |length, negative_slope| ReluForward { length, negative_slope })
    }),
    row("sum_forward", || {
        with_slopes(awkward_lengths(), |length, negative_slope| SumForward { length, negative_slope })
    }),
    row("max_pool_forward", || {
        with_slopes(MaxPool::awkward(), |pool, negative_slope| MaxPoolForward { pool, negative_slope })
    }),
    row("avg_pool_forward", || {
        with_slopes(avg_pool::awkward(), |windows, negative_slope| AvgPoolForward { windows, negative_slope })
    }),
    row("norm_moments", || each(Norm::awkward(), NormMoments)),
    row("norm_statistics", || each(Norm::awkward(), NormStatistics)),
    row("norm_apply", || with_slopes(Norm::awkward(), |norm, negative_slope| NormApply { norm, negative_slope })),
    row("norm_fold", || cases(NormFold::awkward())),
    row("conv_relu_pool_forward", || each(ConvReluPool::awkward(), ConvReluPoolForward)),
    row("dense_forward", || {
        with_a_slope_each(Dense::awkward(), |dense, negative_slope| DenseForward { dense, negative_slope })
    }),
    row("dropout_apply", || cases(DropoutApply::awkward())),
    row("cross_entropy", || cases(CrossEntropy::awkward())),
    row("dense_cross_entropy_forward", || cases(DenseCrossEntropyForward::awkward(Dense::awkward()))),
    row("dense_backward", || {
        with_a_slope_each(Dense::awkward(), |dense, negative_slope| DenseBackward { dense, negative_slope })
    }),
    row("dense_backward_weight", || each(Dense::awkward(), DenseBackwardWeight)),
    row("max_pool_backward", || {
        with_slopes(MaxPool::awkward(), |pool, negative_slope| MaxPoolBackward { pool, negative_slope })
    }),
    row("avg_pool_backward", || {
        with_slopes(avg_pool::awkward(), |windows, negative_slope| AvgPoolBackward { windows, negative_slope })
    }),
    row("relu_backward", || {
        with_slopes(awkward_lengths(), |length, negative_slope| ReluBackward { length, negative_slope })
    }),
    row("sum_backward", || {
        with_slopes(awkward_lengths(), |length, negative_slope| SumBackward { length, negative_slope })
    }),
    row("norm_backward_sums", || each(Norm::awkward(), NormBackwardSums)),
    row("norm_backward_weight", || each(Norm::awkward(), NormBackwardWeight)),
    row("norm_backward_input", || {
        with_slopes(Norm::awkward(), |norm, negative_slope| NormBackwardInput { norm, negative_slope })
    }),
    row("conv_relu_pool_backward_input", || each(ConvReluPool::awkward(), ConvReluPoolBackwardInput)),
    row("conv_relu_pool_backward_weight", || each(ConvReluPool::awkward(), ConvReluPoolBackwardWeight)),
    row("conv2d_backward_input", || {
        let of = |conv, negative_slope| Conv2dBackwardInput { conv, negative_slope };
        cases(Conv2d::with_slopes(Conv2d::awkward(), of))
    }),
    row("conv2d_backward_weight", || each(Conv2d::awkward(), Conv2dBackwardWeight)),
    row("grad_squares", || cases(GradSquares::awkward())),
    row("grad_clip", || cases(GradClip::awkward())),
    row("sgd_step", || cases(SgdStep::awkward())),
    row("adam_step", || cases(AdamStep::awkward())),
    row("average_update", || cases(AverageUpdate::awkward())),
    row("step_finish", || cases(StepFinish::awkward())),
    row("parameter_copy_f16", || cases(ParameterCopyF16::awkward())),
    row("batch_gather_f16", || each(BatchGather::awkward_f16(), Half)),
    row("batch_augment_f16", || each(BatchAugment::awkward_f16(), Half)),
    row("conv2d_forward_f16", || {
        let of = |conv, negative_slope| Half(Conv2dForward { conv, negative_slope });
        cases(Conv2d::with_slopes(Conv2d::awkward_f16(), of))
    }),
    row("conv_relu_pool_forward_f16", || each_half(ConvReluPool::awkward_f16(), ConvReluPoolForward)),
    row("dense_forward_f16", || {
        let sizes = Dense::awkward_f16(|dense| dense.outputs);
        with_a_slope_each(sizes, |dense, negative_slope| Half(DenseForward { dense, negative_slope }))
    }),
    row("relu_forward_f16", || {
        with_slopes_half(awkward_lengths_f16(), |length, negative_slope| ReluForward { length, negative_slope })
    }),
    row("relu_backward_f16", || {
        with_slopes_half(awkward_lengths_f16(), |length, negative_slope| ReluBackward { length, negative_slope })
    }),
    row("sum_forward_f16", || {
        with_slopes_half(awkward_lengths_f16(), |length, negative_slope| SumForward { length, negative_slope })
    }),
    row("sum_backward_f16", || {
        with_slopes_half(awkward_lengths_f16(), |length, negative_slope| SumBackward { length, negative_slope })
    }),
    row("max_pool_forward_f16", || {
        with_slopes_half(MaxPool::awkward_f16(), |pool, negative_slope| MaxPoolForward { pool, negative_slope })
    }),
    row("max_pool_backward_f16", || {
        with_slopes_half(MaxPool::awkward_f16(), |pool, negative_slope| MaxPoolBackward { pool, negative_slope })
    }),
    row("avg_pool_forward_f16", || {
        with_slopes_half(avg_pool::awkward_f16(), |windows, negative_slope| AvgPoolForward { windows, negative_slope })
    }),
    row("avg_pool_backward_f16", || {
        with_slopes_half(avg_pool::awkward_f16(), |windows, negative_slope| AvgPoolBackward { windows, negative_slope })
    }),
    row("norm_moments_f16", || each_half(Norm::awkward_f16(), NormMoments)),
    row("norm_apply_f16", || {
        with_slopes_half(Norm::awkward_f16(), |norm, negative_slope| NormApply { norm, negative_slope })
    }),
    row("norm_backward_sums_f16", || each_half(Norm::awkward_f16(), NormBackwardSums)),
    row("norm_backward_weight_f16", || each_half(Norm::awkward_f16(), NormBackwardWeight)),
    row("norm_backward_input_f16", || {
        with_slopes_half(Norm::awkward_f16(), |norm, negative_slope| NormBackwardInput { norm, negative_slope })
    }),
    row("dropout_apply_f16", || each(DropoutApply::awkward_f16(), Half)),
    row("cross_entropy_f16", || each(CrossEntropy::awkward_f16(), Half)),
    row("dense_cross_entropy_forward_f16", || {
        each(DenseCrossEntropyForward::awkward(Dense::awkward_f16(|dense| dense.outputs)), Half)
    }),
    row("dense_backward_f16", || {
        let sizes = Dense::awkward_f16(|dense| dense.inputs);
        with_a_slope_each(sizes, |dense, negative_slope| Half(DenseBackward { dense, negative_slope }))
    }),
    row("dense_backward_weight_f16", || each_half(Dense::awkward_f16(|_| 2), DenseBackwardWeight)),
    row("conv_relu_pool_backward_input_f16", || {
        each_half(ConvReluPool::awkward_f16_input(), ConvReluPoolBackwardInput)
    }),
    row("conv_relu_pool_backward_weight_f16", || each_half(ConvReluPool::awkward_f16(), ConvReluPoolBackwardWeight)),
    row("conv2d_backward_input_f16", || {
        let of = |conv, negative_slope| Half(Conv2dBackwardInput { conv, negative_slope });
        cases(Conv2d::with_slopes(Conv2d::awkward_f16(), of))
    }),
    row("conv2d_backward_weight_f16", || each_half(Conv2d::awkward_f16(), Conv2dBackwardWeight)),
    row("fma_chain", || cases(FmaChain::awkward())),
    row("fma_chain_f16", || each(FmaChain::awkward(), FmaChainF16)),
    row("matrix_chain", || cases(MatrixChain::awkward())),
    row("buffer_copy", || cases(BufferCopy::awkward())),
    row("chunk_sum", || cases(ChunkSum::awkward())),
];

pub(crate) const fn row(name: &'static str, awkward_cases: fn() -> Vec<Case>) -> Entry {
    Entry { name, awkward_cases }
}

pub(crate) fn cases<O: Op + 'static>(ops: Vec<O>) -> Vec<Case> {
    ops.into_iter().map(|op| Arc::new(op) as Case).collect()
}

pub(crate) fn each<S, O: Op + 'static>(sizes: Vec<S>, op: fn(S) -> O) -> Vec<Case> {
    cases(sizes.into_iter().map(op).collect())
}

/// An op that ends or begins with a rectifier, at these sizes and with the slopes of ReLU, of no rectifier, and one
/// between.
pub(crate) fn with_slopes<S: Copy, O: Op + 'static>(sizes: Vec<S>, op: fn(S, f64) -> O) -> Vec<Case> {
    let with_slope = |slope| sizes.iter().map(move |&sizes| op(sizes, slope));
    cases(SLOPES.into_iter().flat_map(with_slope).collect())
}

/// The same with these slopes in turn, for ops of many sizes whose kernels take long to compile.
fn with_a_slope_each<S: Copy, O: Op + 'static>(sizes: Vec<S>, op: fn(S, f64) -> O) -> Vec<Case> {
    cases(sizes.into_iter().zip(SLOPES.into_iter().cycle()).map(|(sizes, slope)| op(sizes, slope)).collect())
}

fn with_slopes_half<S: Copy, O: InHalf + 'static>(sizes: Vec<S>, op: fn(S, f64) -> O) -> Vec<Case> {
    let with_slope = |slope| sizes.iter().map(move |&sizes| Half(op(sizes, slope)));
    cases(SLOPES.into_iter().flat_map(with_slope).collect())
}

fn each_half<S, O: InHalf + 'static>(sizes: Vec<S>, op: fn(S) -> O) -> Vec<Case> {
    cases(sizes.into_iter().map(|sizes| Half(op(sizes))).collect())
}
