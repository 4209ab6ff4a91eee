//! A convolution with its bias, ReLU and max-pooling as one op, and its gradients from the pooled maxima alone.
//!
//! The forward op writes only the pooled maxima, not the maps before them, and the backward ops read only gradients
//! that are not zero. The maths are those of [`conv2d`](super::conv2d), of which the references are made,
//! [`relu`](super::relu) and [`max_pool`](super::max_pool).
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
mod gather;
mod gradients;
mod half;
mod shaders;

use std::sync::Arc;

pub use gradients::{ConvReluPoolBackwardInput, ConvReluPoolBackwardWeight};

use self::shaders::{
    FORWARD, FORWARD_AHEAD, FORWARD_BLOCKS, FORWARD_LANES, FORWARD_LANES_3X3_GREY, FORWARD_LANES_ANY,
    FORWARD_LANES_WINOGRAD,
};
use super::blocks::{self, Ahead};
use super::conv2d::{Conv2d, Conv2dForward, samples_per_chunk};
use super::half::Half;
use super::product;
use crate::op::{Op, Operand, SUBGROUP_LANES, Shader, Sizes, Variant};
use crate::random::Random;
use crate::tensor::DType::{F32, U32};
use crate::tensor::HostTensor;

/// The code of a window whose maximum ReLU has clipped: it passes no gradient.
pub const NO_MAXIMUM: u8 = u8::MAX;

/// Samples of a partial sum of the weights' gradient, beyond which there are more of these sums: enough to fill a GPU.
const MANY_SAMPLES: usize = 16;

/// Windows, samples or quads of weights of a tile: one for each of the lanes that load for the others.
const TILE: usize = SUBGROUP_LANES as usize;

/// The terms of a sum so short that storing it takes most of the time.
const SHORT_SUM: usize = 16;

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
        let mut sizes = self.conv.sizes_without_stride();
        sizes.push(("pool", self.pool as f64));
        sizes
    }

    /// One of these sizes, unless a window is larger than the map that it pools.
    pub(super) fn of_sizes(sizes: &Sizes) -> Option<Self> {
        let convolved = Self { conv: Conv2d::of_sizes(sizes)?, pool: sizes.size("pool")? };
        let least = convolved.conv.out_height().min(convolved.conv.out_width());
        (convolved.pool <= least).then_some(convolved)
    }

    fn input(&self) -> [usize; 4] {
        self.conv.input()
    }

    fn weight(&self) -> [usize; 4] {
        self.conv.weight()
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
        samples_per_chunk(batch, MANY_SAMPLES, iterations * self.pool * self.pool)
    }

    /// Partial sums of the gradient of the weights.
    pub fn chunks(&self) -> usize {
        self.conv.batch.div_ceil(self.samples_per_chunk())
    }

    /// Floating-point operations of either gradient: only one position of a window, its argmax, has a gradient.
    fn gradient_flops(&self) -> u64 {
        2 * self.windows() as u64 * product(&self.weight())
    }

    /// Whether one op is faster than a convolution that rectifies and a max-pooling.
    ///
    /// The fast variants have output channels in their lanes, which idle where channels are few. That costs more than
    /// what is not stored saves, but where sums are so short that storing is most of the work.
    pub fn pays(&self) -> bool {
        let terms = self.conv.kernel * self.conv.kernel * self.conv.in_channels;
        self.has_fast_windows() && self.conv.stride == 1 && (self.quads() > TILE / 2 || terms <= SHORT_SUM)
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

    /// For each element of the output: its windows' first position in the convolution's output, of the same channel.
    fn windows_in_map(&self) -> impl Iterator<Item = usize> {
        let [_, rows, columns, channels] = self.output();
        let [_, height, width, _] = self.conv.output();
        let pool = self.pool;
        (0..self.output().iter().product()).map(move |i| {
            let (o, column, row) = (i % channels, i / channels % columns, i / (channels * columns) % rows);
            let n = i / (channels * columns * rows);
            ((n * height + row * pool) * width + column * pool) * channels + o
        })
    }

    /// The distance in the convolution's output of the place that a code says from the first of its window.
    fn place(&self, code: u8) -> usize {
        let (dy, dx) = (code as usize / self.pool, code as usize % self.pool);
        (dy * self.conv.out_width() + dx) * self.conv.out_channels
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

    /// The gradient of the convolution's output from that of the pooled maxima.
    fn unpooled(&self, output_grad: &[f32], argmax: &[u32]) -> HostTensor {
        let mut map_grad = HostTensor::zeros(F32, self.conv.output().into());
        let map = map_grad.f32_mut();
        for ((first, code), &grad) in self.windows_in_map().zip(self.unpack(argmax)).zip(output_grad) {
            if code != NO_MAXIMUM {
                map[first + self.place(code)] = grad;
            }
        }
        map_grad
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
    fn blocks(&self, shader: Shader) -> Option<Variant> {
        let Conv2d { in_channels, out_channels, kernel, .. } = self.0.conv;
        let tiles = self.0.windows().div_ceil(blocks::TILE);
        let fits = self.0.has_fast_windows() && self.0.has_out_quads();
        fits.then(|| blocks::products(shader, tiles, out_channels, kernel * kernel * in_channels))
    }

    /// The variant for GPUs that loads ahead, if these sizes have one.
    fn ahead(&self, shader: Shader) -> Option<Variant> {
        let Conv2d { in_channels, out_channels, kernel, .. } = self.0.conv;
        let tiles = self.0.windows().div_ceil(blocks::TILE);
        let fits = self.0.has_fast_windows() && self.0.has_quads();
        let ahead =
            Ahead { tiles, channels: out_channels, terms: in_channels, positions: kernel * kernel, has_zeros: false };
        blocks::products_ahead(shader, &ahead).filter(|_| fits)
    }
}

impl Op for ConvReluPoolForward {
    fn name(&self) -> &'static str {
        "conv_relu_pool_forward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self(ConvReluPool::of_sizes(sizes)?)))
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
        variants.extend(self.ahead(FORWARD_AHEAD));
        variants.extend(self.blocks(FORWARD_BLOCKS));
        variants.push(self.plain(FORWARD));
        variants
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let block = self.0;
        let [input, weight, bias, output, argmax] = tensors else { unreachable!("five operands") };
        let map_of_zeros = HostTensor::zeros(F32, block.conv.output().into());
        let mut convolution = [input.clone(), weight.clone(), bias.clone(), map_of_zeros];
        Conv2dForward { conv: block.conv, negative_slope: 0.0 }.reference(&mut convolution);
        let map = convolution[3].f32();
        let places = 0..(block.pool * block.pool) as u8;
        let codes = block.windows_in_map().zip(output.f32_mut()).map(|(first, output)| {
            *output = 0.0;
            let mut code = NO_MAXIMUM;
            for place in places.clone() {
                let value = map[first + block.place(place)];
                if value > *output {
                    (*output, code) = (value, place);
                }
            }
            code
        });
        let codes: Vec<u8> = codes.collect();
        argmax.u32_mut().copy_from_slice(&block.pack(&codes));
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }

    fn flops(&self) -> u64 {
        (self.0.pool * self.0.pool) as u64 * self.0.gradient_flops()
    }

    fn tolerance(&self) -> f64 {
        Conv2dForward::new(self.0.conv).tolerance()
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
