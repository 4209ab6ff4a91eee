//! Two-dimensional convolution (cross-correlation, as in every deep-learning framework), with its bias and a rectifier.
//!
//! With padded input `p`, weights `w`, bias `b`, stride `s` and kernel positions `ky`, `kx`:
//!
//! ```text
//! output[n,y,x,o]        = rectified(b[o] + Σ_ky Σ_kx Σ_c p[n,s·y+ky,s·x+kx,c] · w[ky,kx,c,o])
//! input_grad[n,y,x,c]    = Σ_ky Σ_kx Σ_o output_grad[n,(y-ky)/s,(x-kx)/s,o] · w[ky,kx,c,o]     (in padded coordinates)
//! weight_grad[ky,kx,c,o] = Σ_n Σ_y Σ_x output_grad[n,y,x,o] · p[n,s·y+ky,s·x+kx,c]
//! ```
//!
//! Maps are `[n, y, x, c]` and weights `[ky, kx, c, o]`, so that a row of the kernel over all channels is one *run* of
//! `kernel · in_channels` floats, in the map as in the weights.

mod cases;
mod gradients;
mod half;
mod reference;
mod shaders;

use std::sync::Arc;

pub(super) use gradients::weight_grads;
pub use gradients::{Conv2dBackwardInput, Conv2dBackwardWeight};

use self::shaders::{FORWARD, FORWARD_AHEAD, FORWARD_BLOCKS, FORWARD_BLOCKS_ANY, FORWARD_LANES, FORWARD_LANES_ANY};
use super::blocks::{self, Ahead};
use super::product;
use crate::op::{MAX_ITERATIONS, Op, Operand, SUBGROUP_LANES, Shader, Sizes, Variant, sum_tolerance};
use crate::ops::relu::take_in;
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;

/// Partial sums that the gradients of weights and bias are split into, unless they would have too many samples each; and
/// the most that there are then.
const USUAL_CHUNKS: usize = 16;
const MOST_CHUNKS: usize = 64;

/// Samples of a partial sum without a pooling, beyond which there are more of these sums: enough to fill a GPU.
const MANY_SAMPLES: usize = 8;

/// Samples of one partial sum of the gradients of a convolution's weights, each of so many loop iterations: equal parts,
/// within the loop limit of drivers. If they would have more than `many`, there are more partial sums.
pub(super) fn samples_per_chunk(batch: usize, many: usize, iterations: usize) -> usize {
    let most = (MAX_ITERATIONS as usize / iterations).max(1);
    batch.div_ceil(USUAL_CHUNKS).min(batch.div_ceil(MOST_CHUNKS).max(many)).clamp(1, most)
}

/// Invocations of a workgroup of the `lanes` variants: those that load for each other.
const LANES: usize = SUBGROUP_LANES as usize;

/// Neighbouring positions of such an invocation.
const STRIP: usize = 4;

/// The most quads of channels of such an invocation.
const TILE_QUADS: usize = 4;

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// Samples.
    pub batch: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Rows of the input.
    pub in_height: usize,
    /// Columns of the input.
    pub in_width: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// The distance in the input of neighbouring positions of the output.
    pub stride: usize,
    /// Zeros added to each row and column in all: 0 ("valid") or `kernel - 1` ("same"; an odd one goes to the end).
    pub padding: usize,
}

impl Conv2d {
    /// Rows of the output.
    pub fn out_height(&self) -> usize {
        (self.in_height + self.padding - self.kernel) / self.stride + 1
    }

    /// Columns of the output.
    pub fn out_width(&self) -> usize {
        (self.in_width + self.padding - self.kernel) / self.stride + 1
    }

    /// Zeros before and after each row and column.
    pub(crate) fn zeros(&self) -> [usize; 2] {
        [self.padding / 2, self.padding - self.padding / 2]
    }

    /// Its sizes, all but the stride.
    pub(super) fn sizes_without_stride(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("batch", self.batch as f64),
            ("in_channels", self.in_channels as f64),
            ("in_height", self.in_height as f64),
            ("in_width", self.in_width as f64),
            ("out_channels", self.out_channels as f64),
            ("kernel", self.kernel as f64),
            ("padding", self.padding as f64),
        ]
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        let mut sizes = self.sizes_without_stride();
        sizes.push(("stride", self.stride as f64));
        sizes
    }

    /// One of these sizes, unless the kernel is larger than the padded map.
    pub(super) fn of_sizes(sizes: &Sizes) -> Option<Self> {
        let conv = Self {
            batch: sizes.size("batch")?,
            in_channels: sizes.size("in_channels")?,
            in_height: sizes.size("in_height")?,
            in_width: sizes.size("in_width")?,
            out_channels: sizes.size("out_channels")?,
            kernel: sizes.size("kernel")?,
            // The ops that say no stride have one of 1.
            stride: sizes.size("stride").unwrap_or(1),
            padding: sizes.size_or_zero("padding")?,
        };
        let fits = conv.kernel <= conv.in_height.min(conv.in_width) + conv.padding && conv.padding < conv.kernel;
        fits.then_some(conv)
    }

    pub(super) fn input(&self) -> [usize; 4] {
        [self.batch, self.in_height, self.in_width, self.in_channels]
    }

    pub(super) fn output(&self) -> [usize; 4] {
        [self.batch, self.out_height(), self.out_width(), self.out_channels]
    }

    pub(super) fn weight(&self) -> [usize; 4] {
        [self.kernel, self.kernel, self.in_channels, self.out_channels]
    }

    /// The floats of a row of the kernel over all input channels.
    fn run(&self) -> usize {
        self.kernel * self.in_channels
    }

    /// Whether the numbers of channels are multiples of 4.
    fn has_quads(&self) -> bool {
        self.in_channels.is_multiple_of(4) && self.out_channels.is_multiple_of(4)
    }

    /// Positions of a sample's output.
    fn area(&self) -> usize {
        self.out_height() * self.out_width()
    }

    /// Samples of one partial sum of a gradient: equal parts, within the loop limit of drivers.
    fn samples_per_chunk(&self) -> usize {
        samples_per_chunk(self.batch, MANY_SAMPLES, self.iterations_per_sample())
    }

    /// Loop iterations for one element of the weights' gradient per sample.
    fn iterations_per_sample(&self) -> usize {
        1 + self.out_height() * (1 + self.out_width())
    }

    /// Partial sums of a gradient.
    pub fn chunks(&self) -> usize {
        self.batch.div_ceil(self.samples_per_chunk())
    }

    /// A variant whose workgroups have some invocations' tiles of neighbouring quads of `channels` each.
    fn lanes(shader: Shader, workgroups: usize, channels: usize, iterations: usize) -> Variant {
        let quads = channels.div_ceil(4);
        let groups = quads.div_ceil(TILE_QUADS);
        Variant::tiled(shader, workgroups, LANES, iterations)
            .repeated(groups)
            .constant("tile_quads", quads.div_ceil(groups))
            .sharing_lanes()
    }

    /// The gradients of weights and bias, in so many partial sums.
    pub(super) fn partial_grads(&self, chunks: usize) -> [Operand; 2] {
        let [kernel, _, in_channels, out_channels] = self.weight();
        [
            Operand::write("weight_grad_partial", F32, [chunks, kernel, kernel, in_channels, out_channels]),
            Operand::write("bias_grad_partial", F32, [chunks, out_channels]),
        ]
    }

    /// A multiply-add counts as two; padding counts as if it were multiplied.
    fn flops(&self) -> u64 {
        2 * product(&self.output()) * product(&[self.in_channels, self.kernel, self.kernel])
    }
}

/// Convolution with bias, then a rectifier: `input`, `weight`, `bias` to `output`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2dForward {
    /// Its sizes.
    pub conv: Conv2d,
    /// What the rectifier multiplies values by that are not above 0: 1 for none, 0 for ReLU.
    pub negative_slope: f64,
}

impl Conv2dForward {
    /// Strips of neighbouring positions of its output.
    fn strips(&self) -> usize {
        self.conv.batch * self.conv.out_height() * self.conv.out_width().div_ceil(STRIP)
    }

    /// Without a rectifier.
    pub fn new(conv: Conv2d) -> Self {
        Self { conv, negative_slope: 1.0 }
    }

    fn lanes(&self, shader: Shader) -> Variant {
        let Conv2d { in_channels, out_channels, kernel, .. } = self.conv;
        let iterations = in_channels.div_ceil(4) * (1 + kernel * (1 + kernel));
        Conv2d::lanes(shader, self.strips().div_ceil(LANES), out_channels, iterations)
            .reading_textures(&["input", "weight"])
    }

    fn blocks(&self, shader: Shader) -> Variant {
        let Conv2d { out_channels, kernel, .. } = self.conv;
        blocks::products(shader, self.strips().div_ceil(blocks::TILE), out_channels, kernel * self.conv.run())
    }

    /// The variant for GPUs that loads ahead, if these sizes have one.
    fn ahead(&self, shader: Shader) -> Option<Variant> {
        let Conv2d { in_channels, out_channels, kernel, .. } = self.conv;
        let (tiles, positions) = (self.strips().div_ceil(blocks::TILE), kernel * kernel);
        let ahead = Ahead { tiles, channels: out_channels, terms: in_channels, positions, has_zeros: false };
        blocks::products_ahead(shader, &ahead).filter(|_| self.conv.has_quads())
    }

    /// The plain variant, in words of some floats.
    fn plain(&self, shader: Shader, floats: usize) -> Variant {
        let Conv2d { in_channels, kernel, .. } = self.conv;
        let iterations = floats * (1 + kernel * (1 + kernel * (1 + in_channels)));
        Variant::linear(shader, self.conv.output().iter().product::<usize>() / floats, iterations)
    }
}

impl Op for Conv2dForward {
    fn name(&self) -> &'static str {
        "conv2d_forward"
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
            Operand::read("input", F32, self.conv.input()),
            Operand::read("weight", F32, self.conv.weight()),
            Operand::read("bias", F32, [self.conv.out_channels]),
            Operand::write("output", F32, self.conv.output()),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let in_fours = self.conv.out_channels.is_multiple_of(4);
        let lanes = if in_fours { FORWARD_LANES } else { FORWARD_LANES_ANY };
        let blocks = if in_fours { FORWARD_BLOCKS } else { FORWARD_BLOCKS_ANY };
        let ahead = self.ahead(FORWARD_AHEAD);
        [self.lanes(lanes)].into_iter().chain(ahead).chain([self.blocks(blocks), self.plain(FORWARD, 1)]).collect()
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, weight, bias, output] = tensors else { unreachable!("four operands") };
        reference::forward(self, input.f32(), weight.f32(), bias.f32(), output.f32_mut());
    }

    fn flops(&self) -> u64 {
        self.conv.flops()
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.conv.in_channels * self.conv.kernel * self.conv.kernel)
    }

    fn rectifying(&self, negative_slope: f64) -> Option<Arc<dyn Op>> {
        take_in(self.negative_slope, Self { negative_slope, ..*self })
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        super::half::Half::of(*self)
    }
}
