//! The gradients of a convolution, ReLU and max-pooling, from the pooled maxima alone.

use std::sync::Arc;

use super::shaders::{
    BACKWARD_INPUT, BACKWARD_INPUT_AHEAD, BACKWARD_INPUT_BLOCKS, BACKWARD_INPUT_LANES, BACKWARD_INPUT_LANES_ANY,
    BACKWARD_INPUT_LANES_WINOGRAD, BACKWARD_WEIGHT, BACKWARD_WEIGHT_BLOCKS, BACKWARD_WEIGHT_GATHER,
    BACKWARD_WEIGHT_LANES, BACKWARD_WEIGHT_LANES_3X3, BACKWARD_WEIGHT_LANES_3X3_GREY,
};
use super::{ConvReluPool, TILE};
use crate::op::{AdapterClass, MAX_WORKGROUP, Op, Operand, Shader, Sizes, Variant, sum_tolerance};
use crate::ops::blocks::{self, Ahead, SLICE};
use crate::ops::conv2d::{Conv2d, Conv2dBackwardInput, weight_grads};
use crate::ops::half::Half;
use crate::random::Random;
use crate::tensor::DType::{F32, U32};
use crate::tensor::HostTensor;

/// Gradients with respect to weights and bias, in partial sums over the samples of a chunk each: `input`,
/// `output_grad`,
/// `argmax` to `weight_grad_partial` `[chunks, kernel, kernel, in_channels, out_channels]` and `bias_grad_partial`
/// `[chunks, out_channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvReluPoolBackwardWeight(pub ConvReluPool);

/// Weights of an invocation of the gradients' variant for GPUs, of each of four output channels.
const LANE_WEIGHTS: usize = 8;

/// Input channels, and quads of output channels, of a tile of that variant, at most.
const TILE_CHANNELS: usize = 8;
const TILE_QUADS: usize = 4;

/// Enough workgroups for a large GPU; only with more do tiles get more quads.
const GPU_WORKGROUPS: u32 = 128;

/// The most floats of the samples' maps in workgroup memory at a time: 12 KiB, in addition to 4 KiB for the sums.
const TILE_FLOATS: usize = 3072;

impl ConvReluPoolBackwardWeight {
    /// The most iterations of a loop over the windows of a chunk's samples.
    fn iterations(&self) -> usize {
        let [_, rows, columns, _] = self.0.output();
        self.0.samples_per_chunk() * (1 + rows * (1 + columns))
    }

    /// `tiles` workgroups for each block of output channels and each chunk.
    pub(super) fn tiled(&self, shader: Shader, tiles: usize) -> Variant {
        let (size, workgroups) = ConvReluPool::workgroup(self.0.quads());
        Variant {
            workgroups: [tiles as u32, workgroups as u32, self.0.chunks() as u32],
            ..Variant::tiled(shader, tiles, size, self.iterations())
        }
    }

    /// Workgroups that have some quads of the kernel's runs each: as many as lanes, or half of that where there are
    /// few, as in first layers.
    pub(super) fn lanes(&self, shader: Shader) -> Variant {
        let quads = self.0.conv.kernel * self.0.run_quads();
        let tile = if quads < 2 * TILE { TILE / 2 } else { TILE };
        self.tiled(shader, quads.div_ceil(tile)).constant("tile", tile)
    }

    pub(super) fn plain(&self, shader: Shader) -> Variant {
        let gradients = self.0.weight().iter().product::<usize>() + self.0.conv.out_channels;
        Variant::linear(shader, self.0.chunks() * gradients, self.iterations())
    }

    /// The variant with blocks in workgroup memory, if these sizes have one, and another for GPUs or not.
    fn blocks(&self, has_gather: bool) -> Option<Variant> {
        let [_, rows, columns, _] = self.0.output();
        let Conv2d { in_channels, kernel, .. } = self.0.conv;
        if !self.0.has_fast_windows() || !self.0.has_out_quads() {
            return None;
        }
        let positions = (rows * self.0.pool + kernel - 1) * (columns * self.0.pool + kernel - 1);
        let most = (TILE_FLOATS / positions).min(LANE_WEIGHTS * MAX_WORKGROUP / kernel.pow(2)).min(TILE_CHANNELS);
        // Use blocks of equal size, so that little padding is needed.
        let blocks = in_channels.div_ceil(Some(most).filter(|&most| most > 0)?);
        let channels = in_channels.div_ceil(blocks);
        let samples = (TILE_FLOATS / (positions * channels)).min(self.0.samples_per_chunk());

        let lanes = (kernel.pow(2) * channels).div_ceil(LANE_WEIGHTS);
        let workgroups = |quads| [blocks, self.0.quads().div_ceil(quads), self.0.chunks()].map(|count| count as u32);
        let fills_gpu = |&quads: &usize| workgroups(quads).into_iter().product::<u32>() >= GPU_WORKGROUPS;
        let most = TILE_QUADS.min(self.0.quads()).min(MAX_WORKGROUP / lanes);
        let quads = (1..=most).rev().find(fills_gpu).unwrap_or(1);
        let splits = MAX_WORKGROUP / (lanes * quads);
        let size = splits * lanes * quads;
        let loads = (samples * positions * channels).div_ceil(size);
        let stages = self.0.samples_per_chunk().div_ceil(samples);
        let sums = (LANE_WEIGHTS + 1) * (1 + splits.ilog2() as usize);
        let iterations = stages * (1 + loads + (samples * rows * columns).div_ceil(splits)) + sums;
        let variant =
            Variant { workgroups: workgroups(quads), ..Variant::tiled(BACKWARD_WEIGHT_BLOCKS, 1, size, iterations) };
        let variant = variant.constant("tile_channels", channels).constant("tile_quads", quads);
        let bytes = 4 * samples * positions * channels + 16 * size;
        // GPUs gather inputs where they can. With one input channel blocks are small, and software without lanes is faster
        // with the plain kernel.
        let made_for: &[AdapterClass] = match (in_channels == 1, has_gather) {
            (true, true) => return None,
            (true, false) => AdapterClass::GPUS,
            (false, true) => &[AdapterClass::Software],
            (false, false) => AdapterClass::WITHOUT_LANES,
        };
        Some(variant.constant("tile_samples", samples).sharing(bytes).made_for(made_for))
    }
}

impl Op for ConvReluPoolBackwardWeight {
    fn name(&self) -> &'static str {
        "conv_relu_pool_backward_weight"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        let mut sizes = self.0.sizes();
        sizes.push(("samples_per_chunk", self.0.samples_per_chunk() as f64));
        sizes
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self(ConvReluPool::of_sizes(sizes)?)))
    }

    fn operands(&self) -> Vec<Operand> {
        let [weight_grad, bias_grad] = self.0.conv.partial_grads(self.0.chunks());
        vec![
            Operand::read("input", F32, self.0.input()),
            Operand::read("output_grad", F32, self.0.output()),
            Operand::read("argmax", U32, self.0.argmax()),
            weight_grad,
            bias_grad,
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let in_quads = self.0.conv.in_channels.div_ceil(4);
        let mut variants = self.0.fast(
            &["input", "output_grad", "argmax"],
            [
                (self.0.is_3x3_grey(), self.tiled(BACKWARD_WEIGHT_LANES_3X3_GREY, 1)),
                (self.0.is_3x3(), self.tiled(BACKWARD_WEIGHT_LANES_3X3, in_quads)),
                (true, self.lanes(BACKWARD_WEIGHT_LANES)),
            ],
        );
        let gather = self.0.gather(BACKWARD_WEIGHT_GATHER);
        let blocks = self.blocks(gather.is_some());
        variants.extend(gather.into_iter().chain(blocks));
        variants.push(self.plain(BACKWARD_WEIGHT));
        variants
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let block = self.0;
        let [input, output_grad, argmax, weight_grad_partial, bias_grad_partial] = tensors else {
            unreachable!("five operands")
        };
        let map_grad = block.unpooled(output_grad.f32(), argmax.u32());
        let partials = [weight_grad_partial.f32_mut(), bias_grad_partial.f32_mut()];
        weight_grads(&block.conv, block.samples_per_chunk(), input.f32(), map_grad.f32(), partials);
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }

    fn flops(&self) -> u64 {
        self.0.gradient_flops()
    }

    fn tolerance(&self) -> f64 {
        let [_, rows, columns, _] = self.0.output();
        sum_tolerance(self.0.samples_per_chunk() * rows * columns)
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let mut tensors = vec![
            ConvReluPool::test_values(self.0.input(), random),
            ConvReluPool::test_values(self.0.output(), random),
            self.0.test_codes(random),
        ];
        tensors.extend(self.operands()[3..].iter().map(|operand| HostTensor::zeros(F32, operand.shape.clone())));
        tensors
    }
}

/// Gradient with respect to the input: `output_grad`, `argmax`, `weight` to `input_grad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvReluPoolBackwardInput(pub ConvReluPool);

impl ConvReluPoolBackwardInput {
    /// Workgroups that have a square of 2x2 positions in 8 samples each.
    pub(super) fn tiled(&self, shader: Shader) -> Variant {
        let Conv2d { batch, in_channels, in_height, in_width, kernel, .. } = self.0.conv;
        let (size, workgroups) = ConvReluPool::workgroup(in_channels.div_ceil(4));
        let tiles = batch.div_ceil(TILE) * in_height.div_ceil(2) * in_width.div_ceil(2);
        let iterations = kernel * (1 + kernel * (1 + self.0.quads()));
        Variant::tiled(shader, tiles, size, iterations).repeated(workgroups)
    }

    /// Workgroups that have all windows in 8 samples each, one after the other.
    fn winograd(&self) -> Variant {
        let Conv2d { batch, in_channels, in_height, in_width, .. } = self.0.conv;
        let [_, pooled_height, pooled_width, _] = self.0.output();
        let (size, workgroups) = ConvReluPool::workgroup(in_channels.div_ceil(4));
        // At the end of each window, two loops move the held values and reset the sums.
        let of_moves = TILE * (8 + 16);
        let of_windows = pooled_height * (1 + (pooled_width + 1) * (1 + of_moves) + pooled_width * self.0.quads());
        let of_zeros = TILE * (1 + in_height * (1 + in_width));
        Variant::tiled(BACKWARD_INPUT_LANES_WINOGRAD, batch.div_ceil(TILE), size, of_windows + of_zeros)
            .repeated(workgroups)
    }

    /// The variant with blocks in workgroup memory, if these sizes have one.
    pub(super) fn blocks(&self, shader: Shader) -> Option<Variant> {
        let Conv2d { batch, in_channels, in_height, in_width, kernel, .. } = self.0.conv;
        let (size, workgroups) = blocks::workgroup(in_channels.div_ceil(4));
        // Use slices of equal length, so that little padding is needed.
        // A small workgroup has less memory, so that as many fit on a GPU's unit as its registers allow.
        let most = if size <= 64 { SLICE / 8 } else { SLICE / 4 };
        let slices = self.0.quads().div_ceil(most);
        let slice = self.0.quads().div_ceil(slices);
        let loads = (slice * blocks::TILE).div_ceil(size);
        let iterations = kernel * (1 + kernel * (1 + slices * (1 + loads + 4 * slice)));
        let tiles = in_height.div_ceil(2) * in_width.div_ceil(2) * batch.div_ceil(blocks::TILE);
        (self.0.has_fast_windows() && self.0.has_quads()).then(|| {
            Variant::tiled(shader, tiles, size, iterations)
                .repeated(workgroups)
                .constant("slice", slice)
                .sharing(16 * 4 * slice * blocks::vectors_per_term(size))
                .made_for(AdapterClass::WITHOUT_LANES)
        })
    }

    /// The variant for GPUs that loads ahead, if these sizes have one.
    pub(super) fn ahead(&self, shader: Shader) -> Option<Variant> {
        let Conv2d { batch, in_channels, in_height, in_width, out_channels, kernel, .. } = self.0.conv;
        let tiles = in_height.div_ceil(2) * in_width.div_ceil(2) * batch.div_ceil(blocks::TILE);
        let fits = self.0.has_fast_windows() && self.0.has_quads();
        let ahead =
            Ahead { tiles, channels: in_channels, terms: out_channels, positions: kernel * kernel, has_zeros: false };
        blocks::products_ahead(shader, &ahead).filter(|_| fits)
    }
}

impl Op for ConvReluPoolBackwardInput {
    fn name(&self) -> &'static str {
        "conv_relu_pool_backward_input"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self(ConvReluPool::of_sizes(sizes)?)))
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("output_grad", F32, self.0.output()),
            Operand::read("argmax", U32, self.0.argmax()),
            Operand::read("weight", F32, self.0.weight()),
            Operand::write("input_grad", F32, self.0.input()),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let Conv2d { in_channels, out_channels, kernel, .. } = self.0.conv;
        let lanes = if in_channels.is_multiple_of(4) { BACKWARD_INPUT_LANES } else { BACKWARD_INPUT_LANES_ANY };
        let mut variants = self.0.fast(
            &["output_grad", "argmax", "weight"],
            [(self.0.is_3x3(), self.winograd()), (true, self.tiled(lanes))],
        );
        variants.extend(self.ahead(BACKWARD_INPUT_AHEAD));
        variants.extend(self.blocks(BACKWARD_INPUT_BLOCKS));
        let iterations = kernel * (1 + kernel * (1 + out_channels));
        variants.push(Variant::linear(BACKWARD_INPUT, self.0.input().iter().product(), 1 + iterations));
        variants
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let block = self.0;
        let [output_grad, argmax, weight, input_grad] = tensors else { unreachable!("four operands") };
        let map_grad = block.unpooled(output_grad.f32(), argmax.u32());
        let input = HostTensor::zeros(F32, block.input().into());
        let mut operands = [map_grad, weight.clone(), input, input_grad.clone()];
        Conv2dBackwardInput::new(block.conv).reference(&mut operands);
        let [_, _, _, grad] = operands;
        *input_grad = grad;
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }

    fn flops(&self) -> u64 {
        self.0.gradient_flops()
    }

    fn tolerance(&self) -> f64 {
        Conv2dBackwardInput::new(self.0.conv).tolerance()
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        vec![
            ConvReluPool::test_values(self.0.output(), random),
            self.0.test_codes(random),
            ConvReluPool::test_values(self.0.weight(), random),
            HostTensor::zeros(F32, self.0.input().into()),
        ]
    }
}
