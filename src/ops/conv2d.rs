//! Two-dimensional convolution (cross-correlation, as in every deep-learning framework) with stride 1.
//!
//! With padded input `p`, weights `w`, bias `b` and kernel positions `ky`, `kx`:
//!
//! ```text
//! output[n,o,y,x]       = b[o] + Σ_c Σ_ky Σ_kx p[n,c,y+ky,x+kx] · w[o,c,ky,kx]
//! input_grad[n,c,y,x]   = Σ_o Σ_ky Σ_kx output_grad[n,o,y-ky,x-kx] · w[o,c,ky,kx]        (in padded coordinates)
//! weight_grad[o,c,ky,kx] = Σ_n Σ_y Σ_x output_grad[n,o,y,x] · p[n,c,y+ky,x+kx]
//! ```

mod cases;
mod planes;

use pulp::Arch;
use rayon::prelude::*;

use super::reduce::samples_per_chunk;
use crate::op::{Op, Operand, Variant, shader, sum_tolerance};
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;
use planes::{add_scaled, dot};

/// Neighbouring positions that one invocation of the `lanes` variants computes: a `vec4`.
const TILE_POSITIONS: usize = 4;

/// Channels of an invocation: two for each of the 8 lanes that share loaded values.
const TILE_CHANNELS: usize = 16;

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
    /// Zeros added to each row and column in all: 0 ("valid") or `kernel - 1` ("same"; an odd one goes to the end).
    pub padding: usize,
}

impl Conv2d {
    /// Rows of the output.
    pub fn out_height(&self) -> usize {
        self.in_height + self.padding - self.kernel + 1
    }

    /// Columns of the output.
    pub fn out_width(&self) -> usize {
        self.in_width + self.padding - self.kernel + 1
    }

    pub(super) fn sizes(&self) -> Vec<(&'static str, f64)> {
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

    fn input(&self) -> [usize; 4] {
        [self.batch, self.in_channels, self.in_height, self.in_width]
    }

    fn output(&self) -> [usize; 4] {
        [self.batch, self.out_channels, self.out_height(), self.out_width()]
    }

    fn weight(&self) -> [usize; 4] {
        [self.out_channels, self.in_channels, self.kernel, self.kernel]
    }

    /// Samples of one partial sum of a gradient: equal parts, within the loop limit of drivers.
    pub fn samples_per_chunk(&self) -> usize {
        samples_per_chunk(self.batch, self.iterations_per_sample())
    }

    /// Loop iterations for one element of the weights' gradient per sample.
    fn iterations_per_sample(&self) -> usize {
        1 + self.out_height() * (1 + self.out_width())
    }

    /// Partial sums of a gradient.
    pub fn chunks(&self) -> usize {
        self.batch.div_ceil(self.samples_per_chunk())
    }

    /// A multiply-add counts as two; padding counts as if it were multiplied.
    fn flops(&self) -> u64 {
        2 * (self.output().iter().product::<usize>() * self.in_channels * self.kernel * self.kernel) as u64
    }
}

/// Convolution with bias: `input`, `weight`, `bias` to `output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dForward(pub Conv2d);

impl Op for Conv2dForward {
    fn name(&self) -> &'static str {
        "conv2d_forward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("input", F32, self.0.input()),
            Operand::read("weight", F32, self.0.weight()),
            Operand::read("bias", F32, [self.0.out_channels]),
            Operand::write("output", F32, self.0.output()),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let Conv2d { batch, in_channels, out_channels, kernel, .. } = self.0;
        let iterations = in_channels * (1 + kernel * (1 + kernel));
        let tiles = batch * self.0.out_height() * self.0.out_width().div_ceil(TILE_POSITIONS);
        let lanes = shader!("conv2d_forward.lanes":
            "shared/linear", "shared/conv2d", "shared/conv2d_input", "shared/outer", "shared/channel_products",
            "shared/put_tile", "conv2d_forward.lanes");
        let plain = shader!("conv2d_forward": "shared/linear", "shared/conv2d", "conv2d_forward");
        vec![
            Variant::linear(lanes, tiles, iterations + TILE_CHANNELS * TILE_POSITIONS)
                .repeated(out_channels.div_ceil(TILE_CHANNELS))
                .sharing_lanes(),
            Variant::linear(plain, self.0.output().iter().product(), iterations),
        ]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let conv = self.0;
        let [input, weight, bias, output] = tensors else { unreachable!("four operands") };
        let (input, weight, bias) = (input.f32(), weight.f32(), bias.f32());
        let taps = conv.kernel * conv.kernel;
        let sample = |input: &[f32], output: &mut [f32]| {
            let planes = conv.padded_planes(input);
            let mut sum = vec![0.0; conv.span()];
            for (o, output) in output.chunks_exact_mut(conv.out_height() * conv.out_width()).enumerate() {
                sum.fill(f64::from(bias[o]));
                for (c, plane) in planes.chunks_exact(conv.padded_area()).enumerate() {
                    let weights = &weight[(o * conv.in_channels + c) * taps..];
                    for (tap, shift) in conv.taps() {
                        add_scaled(&mut sum, f64::from(weights[tap]), &plane[shift..]);
                    }
                }
                for (output, sum) in output.chunks_exact_mut(conv.out_width()).zip(sum.chunks(conv.pitch())) {
                    output.iter_mut().zip(sum).for_each(|(output, sum)| *output = *sum as f32);
                }
            }
        };
        let samples = output.f32_mut().par_chunks_exact_mut(conv.output()[1..].iter().product());
        samples
            .zip(input.par_chunks_exact(conv.input()[1..].iter().product()))
            .for_each(|(output, input)| Arch::new().dispatch(|| sample(input, output)));
    }

    fn flops(&self) -> u64 {
        self.0.flops()
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.0.in_channels * self.0.kernel * self.0.kernel)
    }
}

/// Gradient with respect to the input: `output_grad`, `weight` to `input_grad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dBackwardInput(pub Conv2d);

impl Op for Conv2dBackwardInput {
    fn name(&self) -> &'static str {
        "conv2d_backward_input"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("output_grad", F32, self.0.output()),
            Operand::read("weight", F32, self.0.weight()),
            Operand::write("input_grad", F32, self.0.input()),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let Conv2d { batch, in_channels, in_height, in_width, out_channels, kernel, .. } = self.0;
        let iterations = out_channels * (1 + kernel * (1 + kernel));
        let tiles = batch * in_height * in_width.div_ceil(TILE_POSITIONS);
        let lanes = shader!("conv2d_backward_input.lanes":
            "shared/linear", "shared/conv2d", "shared/outer", "shared/channel_products", "shared/put_tile",
            "conv2d_backward_input.lanes");
        let plain = shader!("conv2d_backward_input": "shared/linear", "shared/conv2d", "conv2d_backward_input");
        vec![
            Variant::linear(lanes, tiles, iterations + TILE_CHANNELS * TILE_POSITIONS)
                .repeated(in_channels.div_ceil(TILE_CHANNELS))
                .sharing_lanes(),
            Variant::linear(plain, self.0.input().iter().product(), iterations),
        ]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let conv = self.0;
        let [output_grad, weight, input_grad] = tensors else { unreachable!("three operands") };
        let (output_grad, weight) = (output_grad.f32(), weight.f32());
        let (taps, before, pitch) = (conv.kernel * conv.kernel, conv.padding / 2, conv.pitch());
        let sample = |output_grad: &[f32], input_grad: &mut [f32]| {
            let planes = conv.pitched_planes(output_grad);
            let mut sum = vec![0.0; conv.padded_area()];
            for (c, input_grad) in input_grad.chunks_exact_mut(conv.in_height * conv.in_width).enumerate() {
                sum.fill(0.0);
                for (o, plane) in planes.chunks_exact(conv.span()).enumerate() {
                    let weights = &weight[(o * conv.in_channels + c) * taps..];
                    for (tap, shift) in conv.taps() {
                        add_scaled(&mut sum[shift..], f64::from(weights[tap]), plane);
                    }
                }
                for (y, row) in input_grad.chunks_exact_mut(conv.in_width).enumerate() {
                    let sum = &sum[(y + before) * pitch + before..];
                    row.iter_mut().zip(sum).for_each(|(row, sum)| *row = *sum as f32);
                }
            }
        };
        let samples = input_grad.f32_mut().par_chunks_exact_mut(conv.input()[1..].iter().product());
        samples
            .zip(output_grad.par_chunks_exact(conv.output()[1..].iter().product()))
            .for_each(|(input_grad, output_grad)| Arch::new().dispatch(|| sample(output_grad, input_grad)));
    }

    fn flops(&self) -> u64 {
        self.0.flops()
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.0.out_channels * self.0.kernel * self.0.kernel)
    }
}

/// Gradient with respect to the weights, in partial sums over the samples of a chunk each:
/// `input`, `output_grad` to `weight_grad_partial` `[chunks, out_channels, in_channels, kernel, kernel]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dBackwardWeight(pub Conv2d);

impl Op for Conv2dBackwardWeight {
    fn name(&self) -> &'static str {
        "conv2d_backward_weight"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        let mut sizes = self.0.sizes();
        sizes.push(("samples_per_chunk", self.0.samples_per_chunk() as f64));
        sizes
    }

    fn operands(&self) -> Vec<Operand> {
        let [out_channels, in_channels, kernel, _] = self.0.weight();
        vec![
            Operand::read("input", F32, self.0.input()),
            Operand::read("output_grad", F32, self.0.output()),
            Operand::write("weight_grad_partial", F32, [self.0.chunks(), out_channels, in_channels, kernel, kernel]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let Conv2d { in_channels, out_channels, kernel, .. } = self.0;
        let partials = self.0.chunks() * self.0.weight().iter().product::<usize>();
        let iterations = self.0.samples_per_chunk() * self.0.iterations_per_sample();
        let tiles = in_channels * kernel * kernel.div_ceil(TILE_POSITIONS);
        let lanes = shader!("conv2d_backward_weight.lanes":
            "shared/linear", "shared/conv2d", "shared/chunks", "shared/conv2d_input", "shared/outer",
            "shared/channel_products", "shared/put_tile", "conv2d_backward_weight.lanes");
        let plain = shader!("conv2d_backward_weight":
            "shared/linear", "shared/conv2d", "shared/chunks", "conv2d_backward_weight");
        vec![
            Variant::chunked(lanes, self.0.chunks(), tiles, iterations + TILE_CHANNELS * TILE_POSITIONS)
                .repeated(out_channels.div_ceil(TILE_CHANNELS))
                .sharing_lanes(),
            Variant::linear(plain, partials, iterations),
        ]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let conv = self.0;
        let [input, output_grad, weight_grad_partial] = tensors else { unreachable!("three operands") };
        let (input, output_grad) = (input.f32(), output_grad.f32());
        let taps = conv.kernel * conv.kernel;
        let chunk_sum = |input: &[f32], output_grad: &[f32], weight_grad: &mut [f32]| {
            let mut sum = vec![0.0; weight_grad.len()];
            let samples = input.chunks_exact(conv.input()[1..].iter().product());
            for (input, output_grad) in samples.zip(output_grad.chunks_exact(conv.output()[1..].iter().product())) {
                let (planes, grads) = (conv.padded_planes(input), conv.pitched_planes(output_grad));
                for (oc, sum) in sum.chunks_exact_mut(taps).enumerate() {
                    let grad = &grads[oc / conv.in_channels * conv.span()..][..conv.span()];
                    let plane = &planes[oc % conv.in_channels * conv.padded_area()..];
                    for (tap, shift) in conv.taps() {
                        sum[tap] += dot(grad, &plane[shift..][..conv.span()]);
                    }
                }
            }
            weight_grad.iter_mut().zip(&sum).for_each(|(weight_grad, sum)| *weight_grad = *sum as f32);
        };
        let samples = conv.samples_per_chunk();
        let chunks = weight_grad_partial.f32_mut().par_chunks_exact_mut(conv.weight().iter().product());
        chunks
            .zip(input.par_chunks(samples * conv.input()[1..].iter().product::<usize>()))
            .zip(output_grad.par_chunks(samples * conv.output()[1..].iter().product::<usize>()))
            .for_each(|((weight_grad, input), output_grad)| {
                Arch::new().dispatch(|| chunk_sum(input, output_grad, weight_grad));
            });
    }

    fn flops(&self) -> u64 {
        self.0.flops()
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.0.samples_per_chunk() * self.0.out_height() * self.0.out_width())
    }
}
