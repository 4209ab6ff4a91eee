//! The ops and THE TABLE of them. Every op of the table is verified, tested and benchmarked; training uses no others.

pub mod batch;
pub mod conv2d;
pub mod conv_relu_pool;
pub mod cross_entropy;
pub mod dense;
pub mod dense_relu;
pub mod dropout;
pub mod half;
#[doc(hidden)]
pub mod layout;
pub mod max_pool;
pub mod optimizer;
pub mod optimizer_step;
pub mod peak;
pub mod reduce;
pub mod relu;

use std::sync::Arc;

use crate::op::Op;
use batch::{BatchGather, ClockAdvance, MetricsAppend, StepFinish};
use conv_relu_pool::{ConvReluPool, ConvReluPoolBackwardInput, ConvReluPoolBackwardWeight, ConvReluPoolForward};
use conv2d::{Conv2d, Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward};
use cross_entropy::{CrossEntropy, CrossEntropyBackward, CrossEntropyForward};
use dense::{Dense, DenseBackwardInput, DenseBackwardWeight, DenseForward};
use dense_relu::{DenseCrossEntropyForward, DenseReluBackward, DenseReluForward};
use dropout::DropoutApply;
use half::{Half, ParameterCopyF16};
use max_pool::{MaxPool, MaxPoolBackward, MaxPoolForward};
use optimizer::{AdamUpdate, SgdUpdate};
use optimizer_step::{AdamStep, Segment, Segments, SgdStep};
use peak::{BufferCopy, FmaChain, FmaChainF16, MatrixChain};
use reduce::{BiasBackward, ChunkSum};
use relu::{ReluBackward, ReluForward};

/// An op at some sizes.
pub type Case = Arc<dyn Op>;

/// A row of the table.
pub struct Entry {
    /// The op's name.
    pub name: &'static str,
    /// Sizes at which kernels often fail: 1, primes, tiles plus and minus 1, batches that are not multiples of a tile.
    pub awkward_cases: fn() -> Vec<Case>,
}

/// The table of ops in the order of a training step, followed by those that measure an adapter.
pub const TABLE: &[Entry] = &[
    Entry { name: "batch_gather", awkward_cases: || each(gathers(), |gather| gather) },
    Entry { name: "conv2d_forward", awkward_cases: || each(convolutions(), Conv2dForward) },
    Entry { name: "relu_forward", awkward_cases: || each(lengths(), |length| ReluForward { length }) },
    Entry { name: "max_pool_forward", awkward_cases: || each(pools(), MaxPoolForward) },
    Entry { name: "conv_relu_pool_forward", awkward_cases: || each(conv_blocks(), ConvReluPoolForward) },
    Entry { name: "dense_forward", awkward_cases: || each(denses(), DenseForward) },
    Entry { name: "dense_relu_forward", awkward_cases: || each(denses(), DenseReluForward) },
    Entry { name: "dropout_apply", awkward_cases: || each(dropouts(), |dropout| dropout) },
    Entry { name: "cross_entropy_forward", awkward_cases: || each(cross_entropies(), CrossEntropyForward) },
    Entry { name: "dense_cross_entropy_forward", awkward_cases: || each(denses(), DenseCrossEntropyForward) },
    Entry { name: "cross_entropy_backward", awkward_cases: || each(cross_entropies(), CrossEntropyBackward) },
    Entry { name: "dense_relu_backward", awkward_cases: || each(denses(), DenseReluBackward) },
    Entry { name: "dense_backward_input", awkward_cases: || each(denses(), DenseBackwardInput) },
    Entry { name: "dense_backward_weight", awkward_cases: || each(denses(), DenseBackwardWeight) },
    Entry { name: "max_pool_backward", awkward_cases: || each(pools(), MaxPoolBackward) },
    Entry { name: "relu_backward", awkward_cases: || each(lengths(), |length| ReluBackward { length }) },
    Entry { name: "conv_relu_pool_backward_input", awkward_cases: || each(conv_blocks(), ConvReluPoolBackwardInput) },
    Entry { name: "conv_relu_pool_backward_weight", awkward_cases: || each(conv_blocks(), ConvReluPoolBackwardWeight) },
    Entry { name: "conv2d_backward_input", awkward_cases: || each(convolutions(), Conv2dBackwardInput) },
    Entry { name: "conv2d_backward_weight", awkward_cases: || each(convolutions(), Conv2dBackwardWeight) },
    Entry { name: "bias_backward", awkward_cases: || each(biases(), |bias| bias) },
    Entry { name: "chunk_sum", awkward_cases: || each(chunk_sums(), |sum| sum) },
    Entry { name: "sgd_update", awkward_cases: || each(sgd_updates(), |sgd| sgd) },
    Entry { name: "adam_update", awkward_cases: || each(adam_updates(), |adam| adam) },
    Entry {
        name: "sgd_step",
        awkward_cases: || {
            each(sgd_updates().into_iter().zip(segments()), |(update, segments)| SgdStep { segments, update })
        },
    },
    Entry {
        name: "adam_step",
        awkward_cases: || {
            each(adam_updates().into_iter().zip(segments()), |(update, segments)| AdamStep { segments, update })
        },
    },
    Entry { name: "metrics_append", awkward_cases: || each(metrics(), |metrics| metrics) },
    Entry { name: "clock_advance", awkward_cases: || each([ClockAdvance], |advance| advance) },
    Entry { name: "step_finish", awkward_cases: || each(metrics(), StepFinish) },
    Entry {
        name: "parameter_copy_f16",
        awkward_cases: || each([2, 126, 4098, 64 * 64 * 2 + 2], |length| ParameterCopyF16 { length }),
    },
    Entry { name: "batch_gather_f16", awkward_cases: || each(even_gathers(), Half) },
    Entry {
        name: "conv_relu_pool_forward_f16",
        awkward_cases: || each(even_conv_blocks(), |block| Half(ConvReluPoolForward(block))),
    },
    Entry {
        name: "dense_relu_forward_f16",
        awkward_cases: || each(even_denses(|dense| dense.outputs), |dense| Half(DenseReluForward(dense))),
    },
    Entry { name: "dropout_apply_f16", awkward_cases: || each(even_dropouts(), Half) },
    Entry {
        name: "dense_cross_entropy_forward_f16",
        awkward_cases: || each(even_denses(|dense| dense.outputs), |dense| Half(DenseCrossEntropyForward(dense))),
    },
    Entry {
        name: "dense_relu_backward_f16",
        awkward_cases: || each(even_denses(|dense| dense.inputs), |dense| Half(DenseReluBackward(dense))),
    },
    Entry {
        name: "conv_relu_pool_backward_input_f16",
        awkward_cases: || {
            let blocks = even_conv_blocks().into_iter().filter(|block| block.conv.in_channels.is_multiple_of(2));
            each(blocks, |block| Half(ConvReluPoolBackwardInput(block)))
        },
    },
    Entry {
        name: "conv_relu_pool_backward_weight_f16",
        awkward_cases: || each(even_conv_blocks(), |block| Half(ConvReluPoolBackwardWeight(block))),
    },
    Entry { name: "fma_chain", awkward_cases: || each(fma_chains(), |chain| chain) },
    Entry { name: "fma_chain_f16", awkward_cases: || each(fma_chains(), FmaChainF16) },
    Entry { name: "matrix_chain", awkward_cases: || each(matrix_chains(), |chain| chain) },
    Entry { name: "buffer_copy", awkward_cases: || each([1, 65, 4099], |quarter| BufferCopy { quarter }) },
];

fn each<S, O: Op + 'static>(sizes: impl IntoIterator<Item = S>, op: fn(S) -> O) -> Vec<Case> {
    sizes.into_iter().map(|sizes| Arc::new(op(sizes)) as Case).collect()
}

fn gathers() -> impl IntoIterator<Item = BatchGather> {
    [(1, 1, 1, 1), (2, 4, 5, 4), (3, 784, 7, 12), (5, 9, 11, 35), (66, 49, 31, 66)].map(gather)
}

fn even_gathers() -> impl IntoIterator<Item = BatchGather> {
    [(1, 2, 1, 1), (3, 784, 7, 12), (5, 10, 11, 35), (66, 50, 31, 66)].map(gather)
}

fn gather((batch, pixels, count, order_length): (usize, usize, usize, usize)) -> BatchGather {
    BatchGather { batch, pixels, count, order_length, scale: 1.0 / 255.0 / 0.3081, shift: -0.1307 / 0.3081 }
}

fn convolutions() -> impl IntoIterator<Item = Conv2d> {
    [
        // batch, in_channels, in_height, in_width, out_channels, kernel, padding
        (1, 1, 1, 1, 1, 1, 0),
        (1, 1, 5, 5, 1, 3, 0),
        (2, 3, 5, 7, 4, 3, 2),
        (3, 2, 8, 6, 9, 5, 4),
        (2, 5, 6, 9, 7, 2, 1),
        (3, 4, 4, 5, 3, 4, 3),
        (2, 2, 9, 7, 3, 6, 5),
        (2, 65, 3, 3, 2, 1, 0),
        (5, 7, 13, 11, 8, 3, 0),
        (33, 3, 9, 17, 17, 3, 2),
        (70, 2, 4, 3, 5, 1, 0),
        (37, 1, 28, 28, 3, 5, 0),
        (2, 33, 10, 10, 31, 3, 0),
        (1, 8, 7, 65, 16, 7, 6),
    ]
    .map(|(batch, in_channels, in_height, in_width, out_channels, kernel, padding)| Conv2d {
        batch,
        in_channels,
        in_height,
        in_width,
        out_channels,
        kernel,
        padding,
    })
}

fn conv_blocks() -> impl IntoIterator<Item = ConvReluPool> {
    [
        // batch, in_channels, in_height, in_width, out_channels, kernel, padding, pool
        (1, 1, 1, 1, 1, 1, 0, 1),
        (1, 1, 3, 3, 1, 2, 0, 2),
        (3, 3, 5, 7, 5, 3, 2, 2),
        (9, 2, 8, 6, 9, 5, 4, 2),
        (2, 5, 6, 9, 7, 2, 1, 3),
        (7, 4, 6, 7, 4, 3, 0, 2),
        (1, 4, 5, 6, 8, 3, 1, 2),
        (2, 3, 6, 4, 7, 2, 0, 2),
        (17, 8, 7, 6, 12, 4, 3, 2),
        (5, 36, 6, 5, 40, 3, 2, 2),
        (5, 1, 9, 8, 36, 3, 2, 2),
        (37, 1, 6, 5, 4, 3, 2, 2),
        (2, 1, 6, 7, 4, 3, 2, 2),
        (3, 8, 5, 9, 8, 3, 4, 2),
        (2, 260, 5, 4, 4, 3, 2, 2),
        (3, 6, 9, 9, 33, 1, 0, 2),
        (33, 1, 28, 28, 6, 5, 4, 2),
        (2, 4, 5, 6, 260, 3, 0, 2),
        (2, 260, 4, 4, 4, 2, 1, 2),
        (3, 68, 4, 4, 68, 2, 1, 2),
        (33, 4, 2, 2, 4, 1, 0, 2),
        (1, 1, 30, 31, 3, 3, 2, 15),
    ]
    .map(conv_block)
}

/// Blocks whose output can be written in half precision, whole words at a time.
fn even_conv_blocks() -> impl IntoIterator<Item = ConvReluPool> {
    [
        (1, 2, 1, 1, 2, 1, 0, 1),
        (1, 1, 3, 3, 2, 2, 0, 2),
        (3, 3, 5, 7, 6, 3, 2, 2),
        (9, 2, 8, 6, 10, 5, 4, 2),
        (2, 6, 6, 9, 6, 2, 1, 3),
        (7, 4, 6, 7, 4, 3, 0, 2),
        (2, 3, 6, 4, 4, 2, 0, 2),
        (2, 6, 5, 5, 8, 3, 2, 2),
        (17, 8, 7, 6, 12, 4, 3, 2),
        (5, 36, 6, 5, 40, 3, 2, 2),
        (33, 1, 28, 28, 4, 5, 4, 2),
        (2, 4, 5, 6, 260, 3, 0, 2),
        (2, 260, 4, 4, 4, 2, 1, 2),
        (3, 4, 2, 2, 4, 1, 0, 2),
        (1, 1, 30, 31, 2, 3, 2, 15),
    ]
    .map(conv_block)
}

fn conv_block(sizes: (usize, usize, usize, usize, usize, usize, usize, usize)) -> ConvReluPool {
    let (batch, in_channels, in_height, in_width, out_channels, kernel, padding, pool) = sizes;
    ConvReluPool { conv: Conv2d { batch, in_channels, in_height, in_width, out_channels, kernel, padding }, pool }
}

fn lengths() -> impl IntoIterator<Item = usize> {
    [1, 63, 64, 65, 1009, 64 * 64 + 1, 4 * 64 * 130 + 4]
}

fn pools() -> impl IntoIterator<Item = MaxPool> {
    [(1, 1, 1, 1), (1, 2, 2, 2), (3, 5, 7, 2), (2, 9, 9, 3), (5, 11, 13, 3), (7, 8, 6, 4), (67, 11, 11, 2)]
        .map(|(planes, height, width, size)| MaxPool { planes, height, width, size })
}

fn denses() -> impl IntoIterator<Item = Dense> {
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
    ]
    .map(|(batch, inputs, outputs)| Dense { batch, inputs, outputs })
}

/// Layers in half precision with an even `written`: they write whole words.
fn even_denses(written: fn(&Dense) -> usize) -> impl IntoIterator<Item = Dense> {
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
    ];
    let denses = sizes.into_iter().map(|(batch, inputs, outputs)| Dense { batch, inputs, outputs });
    denses.filter(move |dense| written(dense).is_multiple_of(2))
}

fn even_dropouts() -> impl IntoIterator<Item = DropoutApply> {
    [(2, dropout::boundary_rate_of_two(), 1), (66, 0.0, 1), (1010, 0.25, 2), (64 * 64 * 2 + 2, 0.9, 3)]
        .map(|(length, rate, layer)| DropoutApply { length, rate, layer })
}

fn dropouts() -> impl IntoIterator<Item = DropoutApply> {
    [(1, dropout::BOUNDARY_RATE, 1), (65, 0.0, 1), (1009, 0.25, 2), (4099, 0.9, 3)]
        .map(|(length, rate, layer)| DropoutApply { length, rate, layer })
}

fn cross_entropies() -> impl IntoIterator<Item = CrossEntropy> {
    [(1, 1), (1, 10), (5, 2), (65, 10), (131, 10), (4, 101), (4099, 2)]
        .map(|(batch, classes)| CrossEntropy { batch, classes })
}

fn biases() -> impl IntoIterator<Item = BiasBackward> {
    [(1, 1, 1), (3, 5, 7), (65, 10, 1), (131, 3, 121), (40, 2, 784), (2, 1, 59_000)]
        .map(|(batch, channels, area)| BiasBackward { batch, channels, area })
}

fn chunk_sums() -> impl IntoIterator<Item = ChunkSum> {
    [(1, 1), (2, 63), (7, 65), (32, 1009)].map(|(chunks, length)| ChunkSum { chunks, length })
}

fn sgd_updates() -> impl IntoIterator<Item = SgdUpdate> {
    [(1, 1, 0.0, false, 0.0), (65, 7, 0.9, false, 5e-4), (1009, 3, 0.9, true, 0.0), (63, 2, 0.8, true, 0.01)].map(
        |(length, steps, momentum, nesterov, weight_decay)| SgdUpdate {
            length,
            steps,
            momentum,
            nesterov,
            weight_decay,
        },
    )
}

fn adam_updates() -> impl IntoIterator<Item = AdamUpdate> {
    [(1, 1, 0.0, false), (65, 7, 0.01, false), (1009, 3, 0.0, true), (63, 2, 0.1, true)].map(
        |(length, steps, weight_decay, decoupled)| AdamUpdate {
            length,
            steps,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay,
            decoupled,
        },
    )
}

/// Lengths and chunks of parameters that share a dispatch.
fn segments() -> impl IntoIterator<Item = Segments> {
    let lists: [&[(usize, usize)]; 4] =
        [&[(1, 1)], &[(64, 3), (1, 2)], &[(70, 1), (63, 16), (4099, 2)], &[(5, 4), (65, 5), (128, 1), (7, 1)]];
    lists.map(|list| Segments(list.iter().map(|&(length, chunks)| Segment { length, chunks }).collect()))
}

fn fma_chains() -> impl IntoIterator<Item = FmaChain> {
    [(1, 1), (65, 3), (4099, 2)].map(|(length, rounds)| FmaChain { length, rounds })
}

fn matrix_chains() -> impl IntoIterator<Item = MatrixChain> {
    [(1, 8, 1), (3, 8, 7), (1, 16, 2), (5, 16, 3), (2, 5, 4), (5, 4, 1)].map(|(groups, size, rounds)| MatrixChain {
        groups,
        size,
        rounds,
    })
}

fn metrics() -> impl IntoIterator<Item = MetricsAppend> {
    [(1, 1), (7, 3), (128, 5), (2049, 2)].map(|(batch, rows)| MetricsAppend { batch, rows })
}
