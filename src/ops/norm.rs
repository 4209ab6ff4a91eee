//! Batch normalisation (Ioffe and Szegedy 2015), over the rows of a map: the positions of all samples, each with its
//! channels.
//!
//! ```text
//! mean[c]         = mean of input[r,c] over the rows r
//! variance[c]     = mean of (input[r,c] - mean[c])² over the rows
//! normal[r,c]     = (input[r,c] - mean[c]) / √(variance[c] + epsilon)
//! output[r,c]     = rectified(normal[r,c] · weight[c] + bias[c])
//!
//! bias_grad[c]    = Σ_r output_grad[r,c]
//! weight_grad[c]  = Σ_r output_grad[r,c] · normal[r,c]
//! input_grad[r,c] = (output_grad[r,c] - bias_grad[c] / rows - normal[r,c] · weight_grad[c] / rows)
//!                   · weight[c] / √(variance[c] + epsilon)
//! ```
//!
//! As in PyTorch, the running statistics move to those of the batch by a share of [`MOMENTUM`] a step, the running
//! variance to the unbiased one, and take their place in evaluation. There they can also be folded into the weights of
//! the layer before.
//!
//! Sums over rows are split into chunks, whose sums other ops add in order. All sums are of differences from a number
//! near the mean, so that a mean that is large compared with the deviation costs no digits.

mod apply;
mod cases;
mod gradients;
mod half;

pub use apply::{NormApply, NormFold};
pub use gradients::{NormBackwardInput, NormBackwardSums, NormBackwardWeight};

use std::sync::Arc;

use rayon::prelude::*;

use super::fours::{in_fours, plain_and_quad};
use super::half::Half;
use crate::op::{MAX_ITERATIONS, Op, Operand, Shader, Sizes, Variant, shader, sum_tolerance};
use crate::random::Random;
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;

/// What is added to a variance, as in PyTorch.
pub const EPSILON: f64 = 1e-5;

/// The share of the batch in a running statistic, as in PyTorch.
pub const MOMENTUM: f64 = 0.1;

/// The most chunks that rows are split into: enough for the invocations of a GPU, few enough to be added by one for
/// each channel.
const MAX_CHUNKS: usize = 256;

/// The fewest rows of a chunk, if there are so many.
const MIN_ROWS_PER_CHUNK: usize = 32;

/// Rows of an invocation of the kernels in which it has several.
const ROWS: usize = 8;

/// Sizes of a batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Norm {
    /// Samples.
    pub batch: usize,
    /// Positions of a sample: rows times columns of a map, 1 for a vector.
    pub area: usize,
    /// Channels.
    pub channels: usize,
}

impl Norm {
    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("batch", self.batch as f64), ("area", self.area as f64), ("channels", self.channels as f64)]
    }

    fn of_sizes(sizes: &Sizes) -> Option<Self> {
        Some(Self { batch: sizes.size("batch")?, area: sizes.size("area")?, channels: sizes.size("channels")? })
    }

    fn sizes_in_chunks(&self) -> Vec<(&'static str, f64)> {
        [self.sizes(), vec![("rows_per_chunk", self.rows_per_chunk() as f64)]].concat()
    }

    fn rows(&self) -> usize {
        self.batch * self.area
    }

    fn rows_per_chunk(&self) -> usize {
        self.rows().div_ceil(MAX_CHUNKS).clamp(MIN_ROWS_PER_CHUNK, MAX_ITERATIONS as usize / 2)
    }

    fn chunks(&self) -> usize {
        self.rows().div_ceil(self.rows_per_chunk())
    }

    fn map(&self) -> [usize; 3] {
        [self.batch, self.area, self.channels]
    }

    /// Two numbers of each channel and chunk.
    fn pairs(&self) -> [usize; 3] {
        [self.chunks(), 2, self.channels]
    }

    /// The variants with an invocation for each chunk of a group of channels; words have so many floats.
    fn in_chunks(&self, shaders: [Shader; 2], floats: usize) -> Vec<Variant> {
        self.by_groups(shaders, floats, self.chunks(), self.rows_per_chunk())
    }

    /// The same for some rows of a group of channels.
    fn in_steps(&self, shaders: [Shader; 2], floats: usize) -> Vec<Variant> {
        self.by_groups(shaders, floats, self.rows().div_ceil(ROWS), ROWS)
    }

    fn by_groups(&self, shaders: [Shader; 2], floats: usize, parts: usize, rows: usize) -> Vec<Variant> {
        let variant = |shader, group| Variant::linear(shader, parts * self.channels / group, rows + 2 * group);
        in_fours(shaders, self.channels, floats, variant)
    }

    /// Operands of a number for each channel, which are only read.
    fn read_channels<const N: usize>(&self, names: [&'static str; N]) -> [Operand; N] {
        names.map(|name| Operand::read(name, F32, [self.channels]))
    }
}

/// `input` to `moments`: mean and squared deviations of each chunk of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NormMoments(pub Norm);

impl Op for NormMoments {
    fn name(&self) -> &'static str {
        "norm_moments"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes_in_chunks()
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self(Norm::of_sizes(sizes)?)))
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read("input", F32, self.0.map()), Operand::write("moments", F32, self.0.pairs())]
    }

    fn variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f32 "norm_moments" "norm_moments.quad": "shared/channels", "shared/norm_rows", "shared/row_chunks", "norm_moments");
        self.0.in_chunks(shaders, 1)
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, moments] = tensors else { unreachable!("two operands") };
        let channels = self.0.channels;
        let chunks = input.f32().par_chunks(self.0.rows_per_chunk() * channels);
        moments.f32_mut().par_chunks_exact_mut(2 * channels).zip(chunks).for_each(|(moments, chunk)| {
            let rows = (chunk.len() / channels) as f64;
            let (means, deviations) = moments.split_at_mut(channels);
            let mut sums = vec![0.0; channels];
            for row in chunk.chunks_exact(channels) {
                sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
            }
            let exact: Vec<f64> = sums.iter().map(|sum| sum / rows).collect();
            sums.fill(0.0);
            for row in chunk.chunks_exact(channels) {
                for ((sum, mean), &value) in sums.iter_mut().zip(&exact).zip(row) {
                    *sum += (f64::from(value) - mean).powi(2);
                }
            }
            means.iter_mut().zip(exact).for_each(|(to, mean)| *to = mean as f32);
            deviations.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum as f32);
        });
    }

    fn flops(&self) -> u64 {
        4 * (self.0.rows() * self.0.channels) as u64
    }

    fn tolerance(&self) -> f64 {
        // Squares are of differences from a row, which lies a few deviations from the mean.
        4.0 * sum_tolerance(self.0.rows_per_chunk())
    }

    /// Channels with means of different sizes, large ones among them.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let mean = |c: usize| [0.0, 30.0, -1.0][c % 3];
        let values: Vec<f32> = (0..self.0.rows() * self.0.channels)
            .map(|i| mean(i % self.0.channels) + random.uniform(-1.0, 1.0))
            .collect();
        vec![HostTensor::from_f32(self.0.map(), &values), HostTensor::zeros(F32, self.0.pairs().into())]
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}

/// `moments` to `mean` and `variance`; `running_mean` and `running_var` are updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NormStatistics(pub Norm);

impl Op for NormStatistics {
    fn name(&self) -> &'static str {
        "norm_statistics"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        [self.0.sizes_in_chunks(), vec![("momentum", MOMENTUM)]].concat()
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self(Norm::of_sizes(sizes)?)))
    }

    fn operands(&self) -> Vec<Operand> {
        let channels = [self.0.channels];
        vec![
            Operand::read("moments", F32, self.0.pairs()),
            Operand::write("mean", F32, channels),
            Operand::write("variance", F32, channels),
            Operand::update("running_mean", F32, channels),
            Operand::update("running_var", F32, channels),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("norm_statistics": "shared/linear", "shared/floats_f32", "shared/single", "shared/channels",
            "shared/norm_rows", "shared/row_chunks", "norm_statistics");
        vec![Variant::linear(shader, self.0.channels, 2 * self.0.chunks())]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let norm = self.0;
        let [moments, mean, variance, running_mean, running_var] = tensors else { unreachable!("five operands") };
        let rows = norm.rows() as f64;
        for c in 0..norm.channels {
            let chunks = || {
                moments.f32().chunks_exact(2 * norm.channels).enumerate().map(move |(chunk, pair)| {
                    let first = chunk * norm.rows_per_chunk();
                    let count = (norm.rows() - first).min(norm.rows_per_chunk());
                    (count as f64, f64::from(pair[c]), f64::from(pair[norm.channels + c]))
                })
            };
            let own_mean = chunks().map(|(count, mean, _)| count * mean).sum::<f64>() / rows;
            let within_and_between =
                |(count, mean, within): (f64, f64, f64)| within + count * (mean - own_mean).powi(2);
            let deviations = chunks().map(within_and_between).sum::<f64>();
            let moved = |running: f32, to: f64| ((1.0 - MOMENTUM) * f64::from(running) + MOMENTUM * to) as f32;
            mean.f32_mut()[c] = own_mean as f32;
            variance.f32_mut()[c] = (deviations / rows) as f32;
            running_mean.f32_mut()[c] = moved(running_mean.f32()[c], own_mean);
            running_var.f32_mut()[c] = moved(running_var.f32()[c], deviations / (rows - 1.0).max(1.0));
        }
    }

    fn flops(&self) -> u64 {
        (8 * self.0.chunks() * self.0.channels) as u64
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.0.chunks() + 16)
    }

    /// Itself: statistics stay in 32 bits.
    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(*self))
    }

    /// Means that lie some deviations apart, far from 0, and deviations that are not negative.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let channels = self.0.channels;
        let moment = |i: usize| match i / channels % 2 {
            0 => [0.0, 30.0, -1.0][i % channels % 3] + random.uniform(-1.0, 1.0),
            _ => random.uniform(0.0, 20.0),
        };
        let moments: Vec<f32> = (0..self.0.pairs().iter().product()).map(moment).collect();
        let channel = |values: &[f32]| HostTensor::from_f32([channels], values);
        vec![
            HostTensor::from_f32(self.0.pairs(), &moments),
            channel(&vec![0.0; channels]),
            channel(&vec![0.0; channels]),
            channel(&cases::uniform(channels, -1.0, random)),
            channel(&cases::uniform(channels, 0.1, random)),
        ]
    }
}
