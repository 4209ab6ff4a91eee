//! A convolution with its bias, ReLU and max-pooling as one op, and its gradients from the pooled maxima alone.
//!
//! The forward op writes only the pooled maxima, not the maps before them, and the backward ops read only gradients
//! that are not zero. Maps are `[n, y, x, c]` and weights `[ky, kx, c, o]`, see [`layout`](super::layout); the maths
//! are those of [`conv2d`](super::conv2d), [`relu`](super::relu) and [`max_pool`](super::max_pool), of which the
//! references are made.
//!
//! The argmax of a window is a code of one byte: its index in the window, row by row, or [`NO_MAXIMUM`] if ReLU has
//! clipped it. The codes of four neighbouring channels share a word.
//!
//! The fast variants are products of 4x4 matrices in registers. A row of the kernel over all channels is one *run* of
//! `kernel · in_channels` floats, in the map as in the weights, so that the sum over a run is a product of matrices whatever
//! the number of channels.
//!
//! These variants are for software with subgroups of 8 lanes. The variants `blocks`, for GPUs, and for software without
//! subgroups, multiply matrices by blocks in workgroup memory, with enough invocations to hide the latency of memory.

mod cases;
mod gradients;
mod half;
mod shaders;

pub use gradients::{ConvReluPoolBackwardInput, ConvReluPoolBackwardWeight};

use rayon::prelude::*;

use self::shaders::{
    FORWARD, FORWARD_BLOCKS, FORWARD_LANES, FORWARD_LANES_3X3_GREY, FORWARD_LANES_ANY, FORWARD_LANES_WINOGRAD,
};
use super::conv2d::{Conv2d, Conv2dForward};
use super::layout::{to_channels_last, to_filters, to_planes};
use super::max_pool::{MaxPool, MaxPoolBackward, MaxPoolForward};
use crate::op::{AdapterClass, MAX_ITERATIONS, MAX_WORKGROUP, Op, Operand, SUBGROUP_LANES, Shader, Variant};
use crate::random::Random;
use crate::tensor::DType::{F32, U32};
use crate::tensor::HostTensor;

/// The code of a window whose maximum ReLU has clipped: it passes no gradient.
pub const NO_MAXIMUM: u8 = u8::MAX;

/// The most partial sums that the gradient of the weights is split into.
const MAX_CHUNKS: usize = 16;

/// Windows, samples or quads of weights of a tile: one for each of the lanes that load for the others.
const TILE: usize = SUBGROUP_LANES as usize;

/// Invocations that share a quad of channels in a tile of the variants for GPUs.
const SHARERS: usize = 16;

/// Windows, or squares of an input, of such a tile: two for each of these invocations.
const GPU_TILE: usize = 2 * SHARERS;

/// The most terms of a sum that such a tile holds in workgroup memory at a time: each invocation loads weights once.
const SLICE: usize = SHARERS;

/// The only window size of the fast variants, in rows and columns.
const FAST_POOL: usize = 2;

/// Sizes of a convolution, then ReLU, then max-pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvReluPool {
    /// The convolution.
    pub conv: Conv2d,
    /// Rows and columns of a window.
    pub pool: usize,
}

impl ConvReluPool {
    fn sizes(&self) -> Vec<(&'static str, f64)> {
        let mut sizes = self.conv.sizes();
        sizes.push(("pool", self.pool as f64));
        sizes
    }

    fn input(&self) -> [usize; 4] {
        let Conv2d { batch, in_channels, in_height, in_width, .. } = self.conv;
        [batch, in_height, in_width, in_channels]
    }

    fn weight(&self) -> [usize; 4] {
        let Conv2d { in_channels, out_channels, kernel, .. } = self.conv;
        [kernel, kernel, in_channels, out_channels]
    }

    fn output(&self) -> [usize; 4] {
        let Conv2d { batch, out_channels, .. } = self.conv;
        [batch, self.conv.out_height() / self.pool, self.conv.out_width() / self.pool, out_channels]
    }

    fn argmax(&self) -> [usize; 4] {
        let [batch, rows, columns, _] = self.output();
        [batch, rows, columns, self.quads()]
    }

    /// Groups of four output channels.
    fn quads(&self) -> usize {
        self.conv.out_channels.div_ceil(4)
    }

    /// Windows of all samples.
    fn windows(&self) -> usize {
        self.output()[..3].iter().product()
    }

    /// Groups of four floats in a run: a row of the kernel over all input channels.
    fn run_quads(&self) -> usize {
        (self.conv.kernel * self.conv.in_channels).div_ceil(4)
    }

    /// Samples summed by one partial sum of the gradient of the weights.
    fn samples_per_chunk(&self) -> usize {
        let [batch, rows, columns, _] = self.output();
        let iterations = 1 + rows * (1 + columns);
        let most = (MAX_ITERATIONS as usize / (iterations * self.pool * self.pool)).max(1);
        batch.div_ceil(MAX_CHUNKS).clamp(1, most)
    }

    /// Partial sums of the gradient of the weights.
    pub fn chunks(&self) -> usize {
        self.conv.batch.div_ceil(self.samples_per_chunk())
    }

    /// Floating-point operations of either gradient: only one position of a window, its argmax, has a gradient.
    fn gradient_flops(&self) -> u64 {
        2 * (self.windows() * self.weight().iter().product::<usize>()) as u64
    }

    fn max_pool(&self) -> MaxPool {
        let Conv2d { batch, out_channels, .. } = self.conv;
        MaxPool {
            planes: batch * out_channels,
            height: self.conv.out_height(),
            width: self.conv.out_width(),
            size: self.pool,
        }
    }

    /// Whether windows have the size that all fast variants are made for.
    fn has_fast_windows(&self) -> bool {
        self.pool == FAST_POOL
    }

    fn has_out_quads(&self) -> bool {
        self.conv.out_channels.is_multiple_of(4)
    }

    /// Whether both numbers of channels are multiples of 4.
    fn has_quads(&self) -> bool {
        self.conv.in_channels.is_multiple_of(4) && self.has_out_quads()
    }

    /// Whether the variants for kernels of 3x3 over channels in fours are made for these sizes.
    fn is_3x3(&self) -> bool {
        self.conv.kernel == 3 && self.has_quads()
    }

    /// Whether those for kernels of 3x3 over one input channel are.
    fn is_3x3_grey(&self) -> bool {
        self.conv.kernel == 3 && self.conv.in_channels == 1 && self.has_out_quads()
    }

    /// The fast variants that are made for these sizes, in order; all of them read `textures` as textures.
    fn fast<const N: usize>(&self, textures: &[&'static str], variants: [(bool, Variant); N]) -> Vec<Variant> {
        let fast = variants.into_iter().filter(|&(is_made_for, _)| is_made_for && self.has_fast_windows());
        fast.map(|(_, variant)| variant.sharing_lanes().reading_textures(textures)).collect()
    }

    /// The invocations of a workgroup that have a quad of `quads` each, and the workgroups for all quads.
    fn workgroup(quads: usize) -> (usize, usize) {
        let size = quads.next_multiple_of(TILE).min(64);
        (size, quads.div_ceil(size))
    }

    /// The invocations of a workgroup that has a tile of [`GPU_TILE`] by some of `quads`, and the workgroups for all quads.
    fn gpu_workgroup(quads: usize) -> (usize, usize) {
        let workgroups = quads.div_ceil(MAX_WORKGROUP / SHARERS);
        (quads.div_ceil(workgroups) * SHARERS, workgroups)
    }

    /// The index of a code in the plane of its channel, as in [`MaxPoolForward`], for the window `(row, column)`.
    fn place(&self, code: u8, row: usize, column: usize) -> usize {
        let (dy, dx) = (code as usize / self.pool, code as usize % self.pool);
        (row * self.pool + dy) * self.conv.out_width() + column * self.pool + dx
    }

    /// The codes of packed words, `[n, y, x, o]`.
    fn unpack(&self, words: &[u32]) -> Vec<u8> {
        let channels = self.conv.out_channels;
        let bytes = words
            .chunks_exact(self.quads())
            .flat_map(|quads| quads.iter().flat_map(|word| word.to_le_bytes()).take(channels).collect::<Vec<_>>());
        bytes.collect()
    }

    /// The words of codes, padded with [`NO_MAXIMUM`].
    fn pack(&self, codes: &[u8]) -> Vec<u32> {
        let pack_window = |codes: &[u8]| {
            let quad = |four: &[u8]| u32::from_le_bytes(std::array::from_fn(|i| *four.get(i).unwrap_or(&NO_MAXIMUM)));
            codes.chunks(4).map(quad).collect::<Vec<_>>()
        };
        codes.chunks_exact(self.conv.out_channels).flat_map(pack_window).collect()
    }

    /// The gradient of the convolution's output, as planes, from that of the pooled maxima.
    fn unpooled(&self, output_grad: &[f32], argmax: &[u32]) -> HostTensor {
        let codes = self.unpack(argmax);
        let [_, rows, columns, channels] = self.output();
        let passed: Vec<f32> =
            output_grad.iter().zip(&codes).map(|(&grad, &code)| if code == NO_MAXIMUM { 0.0 } else { grad }).collect();
        let places: Vec<u32> = codes
            .iter()
            .enumerate()
            .map(|(i, &code)| {
                let window = i / channels % (rows * columns);
                let code = if code == NO_MAXIMUM { 0 } else { code };
                self.place(code, window / columns, window % columns) as u32
            })
            .collect();
        let pool = self.max_pool();
        let mut tensors = [
            HostTensor::from_f32([passed.len()], &to_planes(&passed, self.output())),
            HostTensor::from_u32([places.len()], &to_planes(&places, self.output())),
            HostTensor::zeros(F32, [pool.planes * pool.height * pool.width].into()),
        ];
        MaxPoolBackward(pool).reference(&mut tensors);
        let [_, _, grad] = tensors;
        grad
    }

    /// Random codes, equally many of each kind.
    fn test_codes(&self, random: &mut Random) -> HostTensor {
        let kinds = (self.pool * self.pool + 1) as u32;
        let code = |_| u8::try_from(random.below(kinds)).ok().filter(|&code| u32::from(code) + 1 < kinds);
        let codes: Vec<u8> =
            (0..self.output().iter().product()).map(code).map(|code| code.unwrap_or(NO_MAXIMUM)).collect();
        HostTensor::from_u32(self.argmax(), &self.pack(&codes))
    }

    fn test_values(extents: [usize; 4], random: &mut Random) -> HostTensor {
        let values: Vec<f32> = (0..extents.iter().product()).map(|_| random.uniform(-1.0, 1.0)).collect();
        HostTensor::from_f32(extents, &values)
    }
}

/// `input`, `weight`, `bias` to `output` and `argmax`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvReluPoolForward(pub ConvReluPool);

impl ConvReluPoolForward {
    /// Workgroups of `tile` windows each.
    fn tiled(&self, shader: Shader, tile: usize) -> Variant {
        let (size, workgroups) = ConvReluPool::workgroup(self.0.quads());
        let iterations = self.0.run_quads() * (1 + self.0.conv.kernel);
        Variant::tiled(shader, self.0.windows().div_ceil(tile), size, iterations).repeated(workgroups)
    }

    fn plain(&self, shader: Shader) -> Variant {
        let ConvReluPool { conv: Conv2d { in_channels, kernel, .. }, pool } = self.0;
        let iterations = 4 * (2 + pool * pool * (1 + kernel * (1 + kernel * (1 + in_channels))));
        Variant::linear(shader, self.0.windows() * self.0.quads(), iterations)
    }

    /// The variant with blocks in workgroup memory, if these sizes have one.
    fn blocks(&self) -> Option<Variant> {
        let Conv2d { in_channels, kernel, .. } = self.0.conv;
        let (size, workgroups) = ConvReluPool::gpu_workgroup(self.0.quads());
        // Use slices of equal length, so that little padding is needed.
        let terms = kernel * kernel * in_channels;
        let slices = terms.div_ceil(SLICE);
        let slice = terms.div_ceil(slices);
        let loads = (slice * GPU_TILE).div_ceil(size);
        let iterations = slices * (1 + loads + slice);
        (self.0.has_fast_windows() && self.0.has_out_quads()).then(|| {
            let tiles = self.0.windows().div_ceil(GPU_TILE);
            Variant::tiled(FORWARD_BLOCKS, tiles, size, iterations)
                .repeated(workgroups)
                .constant("slice", slice)
                .sharing(16 * slice * (GPU_TILE + 1 + size / SHARERS))
                .made_for(AdapterClass::WITHOUT_LANES)
        })
    }
}

impl Op for ConvReluPoolForward {
    fn name(&self) -> &'static str {
        "conv_relu_pool_forward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("input", F32, self.0.input()),
            Operand::read("weight", F32, self.0.weight()),
            Operand::read("bias", F32, [self.0.conv.out_channels]),
            Operand::write("output", F32, self.0.output()),
            Operand::write("argmax", U32, self.0.argmax()),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let grey = self.tiled(FORWARD_LANES_3X3_GREY, TILE * TILE);
        let lanes = if self.0.has_out_quads() { FORWARD_LANES } else { FORWARD_LANES_ANY };
        let mut variants = self.0.fast(
            &["input", "weight"],
            [
                (self.0.is_3x3_grey(), Variant { iterations: TILE as u64, ..grey }),
                (self.0.is_3x3(), self.tiled(FORWARD_LANES_WINOGRAD, 2 * TILE)),
                (true, self.tiled(lanes, TILE)),
            ],
        );
        variants.extend(self.blocks());
        variants.push(self.plain(FORWARD));
        variants
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let block = self.0;
        let [input, weight, bias, output, argmax] = tensors else { unreachable!("five operands") };
        let pool = block.max_pool();
        let maps = || HostTensor::zeros(F32, [pool.planes * pool.height * pool.width].into());
        let mut convolution = [
            HostTensor::from_f32(block.input(), &to_planes(input.f32(), block.input())),
            HostTensor::from_f32(block.weight(), &to_filters(weight.f32(), block.weight())),
            bias.clone(),
            maps(),
        ];
        Conv2dForward(block.conv).reference(&mut convolution);
        let [_, _, _, mut map] = convolution;
        map.f32_mut().par_iter_mut().for_each(|value| *value = value.max(0.0));
        let [batch, rows, columns, channels] = block.output();
        let pooled = batch * rows * columns * channels;
        let mut pooling = [map, HostTensor::zeros(F32, [pooled].into()), HostTensor::zeros(U32, [pooled].into())];
        MaxPoolForward(pool).reference(&mut pooling);
        let [_, maxima, places] = pooling;
        let maxima = to_channels_last(maxima.f32(), [batch, channels, rows, columns]);
        let places = to_channels_last(places.u32(), [batch, channels, rows, columns]);
        let code = |(i, (&maximum, &place)): (usize, (&f32, &u32))| {
            let column = i / channels % columns;
            let row = i / (channels * columns) % rows;
            let (y, x) = (place as usize / pool.width, place as usize % pool.width);
            let code = (y - row * pool.size) * pool.size + x - column * pool.size;
            if maximum > 0.0 { code as u8 } else { NO_MAXIMUM }
        };
        let codes: Vec<u8> = maxima.iter().zip(&places).enumerate().map(code).collect();
        output.f32_mut().copy_from_slice(&maxima);
        argmax.u32_mut().copy_from_slice(&block.pack(&codes));
    }

    fn flops(&self) -> u64 {
        (self.0.pool * self.0.pool) as u64 * self.0.gradient_flops()
    }

    fn tolerance(&self) -> f64 {
        Conv2dForward(self.0.conv).tolerance()
    }

    /// Small multiples of 1/8: all sums are exact, so that every device finds the same maxima, and there are many ties.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let mut exact = |operand: Operand| {
            let values: Vec<f32> = (0..operand.shape.len()).map(|_| random.eighth()).collect();
            match operand.dtype {
                F32 => HostTensor::from_f32(operand.shape, &values),
                dtype => HostTensor::zeros(dtype, operand.shape),
            }
        };
        self.operands().into_iter().map(&mut exact).collect()
    }

    fn has_near_ties(&self) -> bool {
        true
    }
}
