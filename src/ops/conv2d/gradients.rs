//! The gradients of a convolution.

use std::sync::Arc;

use super::shaders::{
    BACKWARD_INPUT, BACKWARD_INPUT_AHEAD, BACKWARD_INPUT_BLOCKS, BACKWARD_INPUT_BLOCKS_ANY, BACKWARD_INPUT_LANES,
    BACKWARD_INPUT_LANES_ANY, BACKWARD_WEIGHT, BACKWARD_WEIGHT_AHEAD, BACKWARD_WEIGHT_BLOCKS, BACKWARD_WEIGHT_LANES,
};
use super::{Conv2d, LANES, STRIP, reference};
use crate::op::{Op, Operand, Shader, Sizes, Variant, sum_tolerance};
use crate::ops::blocks::{self, Ahead};
use crate::ops::half::Half;
use crate::ops::relu::take_in;
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;

pub(in crate::ops) use reference::weight_grads;

/// The most columns of the kernel of an invocation of a `lanes` variant of the weights' gradient.
const TILE_COLUMNS: usize = 3;

/// Gradient with respect to the input, before the rectifier that the input came out of, if any: `output_grad`,
/// `weight`,
/// `input` to `input_grad`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2dBackwardInput {
    /// The sizes of the convolution.
    pub conv: Conv2d,
    /// The slope of that rectifier: 1 for none, where `input` is not read.
    pub negative_slope: f64,
}

impl Conv2dBackwardInput {
    /// Where the input came out of no rectifier.
    pub fn new(conv: Conv2d) -> Self {
        Self { conv, negative_slope: 1.0 }
    }

    /// Strips of a phase, and the phases.
    fn strips(&self) -> [usize; 2] {
        let Conv2d { batch, in_height, in_width, stride, .. } = self.conv;
        [batch * in_height.div_ceil(stride) * in_width.div_ceil(stride).div_ceil(STRIP), stride * stride]
    }

    pub(super) fn lanes(&self, shader: Shader) -> Variant {
        let Conv2d { in_channels, out_channels, kernel, .. } = self.conv;
        let [strips, phases] = self.strips();
        let iterations = out_channels.div_ceil(4) * (1 + kernel * (1 + kernel));
        Conv2d::lanes(shader, phases * strips.div_ceil(LANES), in_channels, iterations).reading_textures(&[
            "output_grad",
            "weight",
            "input",
        ])
    }

    pub(super) fn blocks(&self, shader: Shader) -> Variant {
        let Conv2d { in_channels, out_channels, kernel, stride, .. } = self.conv;
        let [strips, phases] = self.strips();
        let terms = kernel.div_ceil(stride).pow(2) * out_channels;
        blocks::products(shader, phases * strips.div_ceil(blocks::TILE), in_channels, terms)
    }

    /// The variant for GPUs that loads ahead, if these sizes have one.
    pub(super) fn ahead(&self, shader: Shader) -> Option<Variant> {
        let Conv2d { in_channels, out_channels, kernel, stride, .. } = self.conv;
        let [strips, phases] = self.strips();
        let (tiles, positions) = (phases * strips.div_ceil(blocks::TILE), kernel.div_ceil(stride).pow(2));
        let ahead = Ahead { tiles, channels: in_channels, terms: out_channels, positions, has_zeros: false };
        blocks::products_ahead(shader, &ahead).filter(|_| self.conv.has_quads())
    }

    /// The plain variant, in words of some floats.
    pub(super) fn plain(&self, shader: Shader, floats: usize) -> Variant {
        let Conv2d { out_channels, kernel, .. } = self.conv;
        let iterations = floats * (1 + kernel * (1 + kernel * (1 + out_channels)));
        Variant::linear(shader, self.conv.input().iter().product::<usize>() / floats, iterations)
    }
}

impl Op for Conv2dBackwardInput {
    fn name(&self) -> &'static str {
        "conv2d_backward_input"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        let mut sizes = self.conv.sizes();
        sizes.push(("negative_slope", self.negative_slope));
        sizes
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { conv: Conv2d::of_sizes(sizes)?, ..*self }))
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("output_grad", F32, self.conv.output()),
            Operand::read("weight", F32, self.conv.weight()),
            Operand::read("input", F32, self.conv.input()),
            Operand::write("input_grad", F32, self.conv.input()),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let in_fours = self.conv.in_channels.is_multiple_of(4);
        let lanes = if in_fours { BACKWARD_INPUT_LANES } else { BACKWARD_INPUT_LANES_ANY };
        let blocks = if in_fours { BACKWARD_INPUT_BLOCKS } else { BACKWARD_INPUT_BLOCKS_ANY };
        let ahead = self.ahead(BACKWARD_INPUT_AHEAD);
        let plain = self.plain(BACKWARD_INPUT, 1);
        [self.lanes(lanes)].into_iter().chain(ahead).chain([self.blocks(blocks), plain]).collect()
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [output_grad, weight, input, input_grad] = tensors else { unreachable!("four operands") };
        reference::input_grads(self, output_grad.f32(), weight.f32(), input.f32(), input_grad.f32_mut());
    }

    fn flops(&self) -> u64 {
        self.conv.flops()
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.conv.out_channels * self.conv.kernel * self.conv.kernel)
    }

    fn before_rectifier(&self, negative_slope: f64) -> Option<Arc<dyn Op>> {
        take_in(self.negative_slope, Self { negative_slope, ..*self })
    }

    fn leaves_unread(&self, operand: &str) -> bool {
        operand == "input" && self.negative_slope == 1.0
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}

/// Gradients with respect to weights and bias, in partial sums over the samples of a chunk each: `input`, `output_grad`
/// to
/// `weight_grad_partial` `[chunks, kernel, kernel, in_channels, out_channels]` and `bias_grad_partial`
/// `[chunks, out_channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dBackwardWeight(pub Conv2d);

impl Conv2dBackwardWeight {
    /// Columns of the kernel of a lane, and the quads of floats that lanes begin with: those of the runs, or, where
    /// several columns occupy all lanes, those of each column's part.
    fn columns(&self) -> [usize; 2] {
        let Conv2d { in_channels, kernel, stride, .. } = self.0;
        let parts = kernel.div_ceil(TILE_COLUMNS);
        let quads = kernel * parts * in_channels / 4;
        let pays = stride == 1 && in_channels.is_multiple_of(4) && quads.is_multiple_of(LANES);
        if pays { [kernel.div_ceil(parts), quads] } else { [1, kernel * self.0.run().div_ceil(4)] }
    }

    /// Workgroups that have as many quads of the kernel's runs as lanes, for each group of output channels and each
    /// chunk.
    pub(super) fn lanes(&self, shader: Shader) -> Variant {
        let conv = self.0;
        let [columns, quads] = self.columns();
        let iterations = conv.samples_per_chunk() * (1 + conv.out_height() * (1 + conv.out_width().div_ceil(STRIP)));
        let variant = Conv2d::lanes(shader, 1, conv.out_channels, iterations).constant("tile_columns", columns);
        self.in_chunks(variant.reading_textures(&["input", "output_grad"]), quads.div_ceil(LANES))
    }

    pub(super) fn blocks(&self, shader: Shader) -> Variant {
        let conv = self.0;
        // Beyond the quads of the kernel's runs there is one for the bias.
        let quads = conv.kernel * conv.run().div_ceil(4) + 1;
        let variant = blocks::products(shader, 1, conv.out_channels, conv.samples_per_chunk() * conv.area());
        self.in_chunks(variant, quads.div_ceil(blocks::TILE))
    }

    /// The variant for GPUs that loads ahead, if these sizes have one.
    pub(super) fn ahead(&self, shader: Shader) -> Option<Variant> {
        let conv = self.0;
        let quads = conv.kernel * conv.run() / 4 + 1;
        let terms = conv.samples_per_chunk() * conv.area();
        let ahead = Ahead { tiles: 1, channels: conv.out_channels, terms, positions: 1, has_zeros: true };
        let variant = blocks::products_ahead(shader, &ahead).filter(|_| conv.has_quads())?;
        Some(self.in_chunks(variant, quads.div_ceil(blocks::TILE)))
    }

    /// The same with `tiles` workgroups for each group of output channels and each chunk.
    fn in_chunks(&self, variant: Variant, tiles: usize) -> Variant {
        let [_, _, groups] = variant.workgroups;
        Variant { workgroups: [tiles as u32, groups, self.0.chunks() as u32], ..variant }
    }

    pub(super) fn plain(&self, shader: Shader) -> Variant {
        let gradients = self.0.weight().iter().product::<usize>() + self.0.out_channels;
        let iterations = self.0.samples_per_chunk() * self.0.iterations_per_sample();
        Variant::linear(shader, self.0.chunks() * gradients, iterations)
    }
}

impl Op for Conv2dBackwardWeight {
    fn name(&self) -> &'static str {
        "conv2d_backward_weight"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        let mut sizes = self.0.sizes();
        sizes.push(("samples_per_chunk", self.0.samples_per_chunk() as f64));
        sizes
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self(Conv2d::of_sizes(sizes)?)))
    }

    fn operands(&self) -> Vec<Operand> {
        let [weight_grad, bias_grad] = self.0.partial_grads(self.0.chunks());
        vec![
            Operand::read("input", F32, self.0.input()),
            Operand::read("output_grad", F32, self.0.output()),
            weight_grad,
            bias_grad,
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let ahead = self.ahead(BACKWARD_WEIGHT_AHEAD);
        let others = [self.blocks(BACKWARD_WEIGHT_BLOCKS), self.plain(BACKWARD_WEIGHT)];
        [self.lanes(BACKWARD_WEIGHT_LANES)].into_iter().chain(ahead).chain(others).collect()
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, output_grad, weight_grad_partial, bias_grad_partial] = tensors else {
            unreachable!("four operands")
        };
        let partials = [weight_grad_partial.f32_mut(), bias_grad_partial.f32_mut()];
        weight_grads(&self.0, self.0.samples_per_chunk(), input.f32(), output_grad.f32(), partials);
    }

    fn flops(&self) -> u64 {
        self.0.flops()
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.0.samples_per_chunk() * self.0.area())
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}
