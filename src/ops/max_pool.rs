//! Max-pooling over square windows that touch but do not overlap; rows and columns left over at the end are dropped.
//!
//! ```text
//! output[n,y,x,c]     = max over ky, kx of input[n, size·y+ky, size·x+kx, c]
//! argmax[n,y,x,c]     = index of that maximum in its window (ky·size + kx), the first one of equals
//! input_grad[n,y,x,c] = output_grad of the window that holds (y, x) if that is its argmax, else 0
//! ```
//!
//! Ties and odd sizes are PyTorch's. The forward op can rectify what it writes, see [`relu`](super::relu). Where the
//! input came out of a rectifier, the backward op writes the gradient before it: the maximum tells the sign of the only
//! element that has one.

use std::sync::Arc;

use rayon::prelude::*;

use super::fours::{in_fours, plain_and_quad};
use super::half::{Half, InHalf};
use super::relu::{grad_before, rectified, take_in};
use super::windows::Windows;
use crate::op::{Op, Operand, Shader, Sizes, Variant};
use crate::random::Random;
use crate::tensor::DType::{F32, U32};
use crate::tensor::HostTensor;

/// Sizes of a max-pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaxPool {
    /// Samples.
    pub batch: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// Rows and columns of a window.
    pub size: usize,
}

impl MaxPool {
    fn windows(&self) -> Windows {
        let Self { batch, height, width, channels, size } = *self;
        Windows { batch, height, width, channels, window_height: size, window_width: size }
    }

    fn sizes(&self, negative_slope: f64) -> Vec<(&'static str, f64)> {
        [self.windows().sizes(), vec![("negative_slope", negative_slope)]].concat()
    }

    fn of_sizes(sizes: &Sizes) -> Option<Self> {
        // Windows that are not square become smaller in both directions.
        let windows = Windows::of_sizes(sizes)?;
        let size = windows.window_height.min(windows.window_width);
        Some(Self { size, ..Self::of(windows) })
    }

    fn of(Windows { batch, height, width, channels, window_height: size, .. }: Windows) -> Self {
        Self { batch, height, width, channels, size }
    }

    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        Windows::awkward().into_iter().map(Self::of).collect()
    }

    /// Those with an even number of channels, which half precision needs.
    pub(super) fn awkward_f16() -> Vec<Self> {
        Windows::awkward_f16().into_iter().map(Self::of).collect()
    }
}

/// `input` to `output` and `argmax`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxPoolForward {
    /// Sizes.
    pub pool: MaxPool,
    /// The factor of a maximum that is not above 0: 1 for no rectifier.
    pub negative_slope: f64,
}

impl MaxPoolForward {
    fn linear(&self, shader: Shader, channels: usize) -> Variant {
        let windows = self.pool.windows();
        let invocations = windows.output().iter().product::<usize>() / channels;
        // The window, then the place of each channel's maximum.
        Variant::linear(shader, invocations, self.pool.size * (1 + self.pool.size) + channels)
    }
}

impl Op for MaxPoolForward {
    fn name(&self) -> &'static str {
        "max_pool_forward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.pool.sizes(self.negative_slope)
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { pool: MaxPool::of_sizes(sizes)?, ..*self }))
    }

    fn operands(&self) -> Vec<Operand> {
        let windows = self.pool.windows();
        vec![
            Operand::read("input", F32, windows.input()),
            Operand::write("output", F32, windows.output()),
            Operand::write("argmax", U32, windows.output()),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f32 "max_pool_forward" "max_pool_forward.quad": "shared/channels", "shared/windows", "shared/rectifier", "max_pool_forward");
        in_fours(shaders, self.pool.channels, 1, |shader, channels| self.linear(shader, channels))
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let windows = self.pool.windows();
        let [input, output, argmax] = tensors else { unreachable!("three operands") };
        let channels = windows.channels;
        let row = windows.output()[2] * channels;
        let outputs = output.f32_mut().par_chunks_exact_mut(row).zip(argmax.u32_mut().par_chunks_exact_mut(row));
        outputs.zip(windows.rows(input.f32())).for_each(|((output, argmax), rows)| {
            let outputs = output.chunks_exact_mut(channels).zip(argmax.chunks_exact_mut(channels));
            for (x, (output, argmax)) in outputs.enumerate() {
                for (place, start) in windows.starts(x).enumerate() {
                    let values = &rows[start..start + channels];
                    if place == 0 {
                        output.copy_from_slice(values);
                        argmax.fill(0);
                    }
                    for ((best, argmax), &value) in output.iter_mut().zip(&mut *argmax).zip(values) {
                        let is_larger = value > *best;
                        *best = if is_larger { value } else { *best };
                        *argmax = if is_larger { place as u32 } else { *argmax };
                    }
                }
                output.iter_mut().for_each(|value| *value = rectified(*value, self.negative_slope));
            }
        });
    }

    fn flops(&self) -> u64 {
        let windows = self.pool.windows();
        (windows.output().iter().product::<usize>() * windows.area()) as u64
    }

    fn tolerance(&self) -> f64 {
        f64::from(f32::EPSILON)
    }

    /// Few distinct values, so that most windows hold ties.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let windows = self.pool.windows();
        let values: Vec<f32> = (0..windows.input().iter().product()).map(|_| random.below(5) as f32 - 3.0).collect();
        vec![
            HostTensor::from_f32(windows.input(), &values),
            HostTensor::zeros(F32, windows.output().into()),
            HostTensor::zeros(U32, windows.output().into()),
        ]
    }

    fn rectifying(&self, negative_slope: f64) -> Option<Arc<dyn Op>> {
        take_in(self.negative_slope, Self { negative_slope, ..*self })
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}

impl InHalf for MaxPoolForward {
    const NAME: &'static str = "max_pool_forward_f16";
    const HALVES: &'static [&'static str] = &["input", "output"];

    fn half_variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f16 "max_pool_forward_f16" "max_pool_forward_f16.quad": "shared/channels", "shared/windows", "shared/rectifier", "max_pool_forward");
        in_fours(shaders, self.pool.channels, 2, |shader, channels| self.linear(shader, channels))
    }
}

/// `output`, `output_grad`, `argmax` to `input_grad`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxPoolBackward {
    /// Sizes.
    pub pool: MaxPool,
    /// The slope of the rectifier that made the input: 1 for none, so that `output` is not read.
    pub negative_slope: f64,
}

impl MaxPoolBackward {
    fn linear(&self, shader: Shader, channels: usize) -> Variant {
        let MaxPool { channels: all, size, .. } = self.pool;
        Variant::linear(shader, self.pool.windows().blocks() * all / channels, size * (1 + size) + channels)
    }
}

impl Op for MaxPoolBackward {
    fn name(&self) -> &'static str {
        "max_pool_backward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.pool.sizes(self.negative_slope)
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { pool: MaxPool::of_sizes(sizes)?, ..*self }))
    }

    fn operands(&self) -> Vec<Operand> {
        let windows = self.pool.windows();
        vec![
            Operand::read("output", F32, windows.output()),
            Operand::read("output_grad", F32, windows.output()),
            Operand::read("argmax", U32, windows.output()),
            Operand::write("input_grad", F32, windows.input()),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f32 "max_pool_backward" "max_pool_backward.quad": "shared/channels", "shared/windows", "shared/blocks_of_map", "shared/rectifier_grad", "max_pool_backward");
        in_fours(shaders, self.pool.channels, 1, |shader, channels| self.linear(shader, channels))
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let windows = self.pool.windows();
        let [output, output_grad, argmax, input_grad] = tensors else { unreachable!("four operands") };
        let (channels, row) = (windows.channels, windows.width * windows.channels);
        let [_, rows, columns, _] = windows.output();
        let (output, output_grad, argmax) = (output.f32(), output_grad.f32(), argmax.u32());
        input_grad.f32_mut().par_chunks_exact_mut(row).enumerate().for_each(|(index, input_grad)| {
            let (n, y) = (index / windows.height, index % windows.height);
            let (window_y, ky) = (y / windows.window_height, y % windows.window_height);
            input_grad.fill(0.0);
            if window_y >= rows {
                return;
            }
            let covered = &mut input_grad[..columns * windows.window_width * channels];
            for (x, grads) in covered.chunks_exact_mut(channels).enumerate() {
                let place = (ky * windows.window_width + x % windows.window_width) as u32;
                let window = ((n * rows + window_y) * columns + x / windows.window_width) * channels;
                let of_window = window..window + channels;
                let behind = output_grad[of_window.clone()].iter().zip(&output[of_window.clone()]);
                for ((grad, (&behind, &value)), &argmax) in grads.iter_mut().zip(behind).zip(&argmax[of_window]) {
                    let before = grad_before(behind, value, self.negative_slope);
                    *grad = if argmax == place { before } else { 0.0 };
                }
            }
        });
    }

    fn flops(&self) -> u64 {
        0
    }

    fn tolerance(&self) -> f64 {
        f64::from(f32::EPSILON)
    }

    /// An argmax within its window, as the forward pass writes it.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let windows = self.pool.windows();
        let elements: usize = windows.output().iter().product();
        let mut floats = || (0..elements).map(|_| random.uniform(-1.0, 1.0)).collect::<Vec<_>>();
        let [values, grads] = [floats(), floats()];
        let argmax: Vec<u32> = (0..elements).map(|_| random.below(windows.area() as u32)).collect();
        vec![
            HostTensor::from_f32(windows.output(), &values),
            HostTensor::from_f32(windows.output(), &grads),
            HostTensor::from_u32(windows.output(), &argmax),
            HostTensor::zeros(F32, windows.input().into()),
        ]
    }

    fn before_rectifier(&self, negative_slope: f64) -> Option<Arc<dyn Op>> {
        take_in(self.negative_slope, Self { negative_slope, ..*self })
    }

    fn leaves_unread(&self, operand: &str) -> bool {
        operand == "output" && self.negative_slope == 1.0
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}

impl InHalf for MaxPoolBackward {
    const NAME: &'static str = "max_pool_backward_f16";
    const HALVES: &'static [&'static str] = &["output", "output_grad", "input_grad"];

    fn half_variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f16 "max_pool_backward_f16" "max_pool_backward_f16.quad": "shared/channels", "shared/windows", "shared/blocks_of_map", "shared/rectifier_grad", "max_pool_backward");
        in_fours(shaders, self.pool.channels, 2, |shader, channels| self.linear(shader, channels))
    }
}
