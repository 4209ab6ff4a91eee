//! Average-pooling over windows that touch but do not overlap; rows and columns left over at the end are dropped.
//!
//! ```text
//! output[n,y,x,c]     = mean over ky, kx of input[n, window_height·y+ky, window_width·x+kx, c]
//! input_grad[n,y,x,c] = output_grad of the window that holds (y, x) / its elements, or 0
//! ```
//!
//! The forward op can rectify what it writes, see [`relu`](super::relu). Where the input came out of a rectifier, the
//! backward op writes the gradient before it.

use std::sync::Arc;

use rayon::prelude::*;

use super::fours::{in_fours, plain_and_quad};
use super::half::{Half, InHalf};
use super::relu::{grad_before, rectified, take_in};
pub use super::windows::Windows;
use crate::op::{Op, Operand, Shader, Sizes, Variant, sum_tolerance};
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;

/// `input` to `output`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AvgPoolForward {
    /// Sizes.
    pub windows: Windows,
    /// The factor of a mean that is not above 0: 1 for no rectifier.
    pub negative_slope: f64,
}

impl AvgPoolForward {
    fn linear(&self, shader: Shader, channels: usize) -> Variant {
        let invocations = self.windows.output().iter().product::<usize>() / channels;
        Variant::linear(shader, invocations, self.windows.window_height * (1 + self.windows.window_width))
    }
}

impl Op for AvgPoolForward {
    fn name(&self) -> &'static str {
        "avg_pool_forward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        [self.windows.sizes(), vec![("negative_slope", self.negative_slope)]].concat()
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { windows: Windows::of_sizes(sizes)?, ..*self }))
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read("input", F32, self.windows.input()), Operand::write("output", F32, self.windows.output())]
    }

    fn variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f32 "avg_pool_forward" "avg_pool_forward.quad": "shared/channels", "shared/windows", "shared/rectifier", "avg_pool_forward");
        in_fours(shaders, self.windows.channels, 1, |shader, channels| self.linear(shader, channels))
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let windows = self.windows;
        let [input, output] = tensors else { unreachable!("two operands") };
        let channels = windows.channels;
        let outputs = output.f32_mut().par_chunks_exact_mut(windows.output()[2] * channels);
        outputs.zip(windows.rows(input.f32())).for_each(|(output, rows)| {
            let mut sums = vec![0.0; channels];
            for (x, output) in output.chunks_exact_mut(channels).enumerate() {
                sums.fill(0.0);
                for start in windows.starts(x) {
                    let values = &rows[start..start + channels];
                    sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += f64::from(value));
                }
                for (output, &sum) in output.iter_mut().zip(&sums) {
                    *output = rectified((sum / windows.area() as f64) as f32, self.negative_slope);
                }
            }
        });
    }

    fn flops(&self) -> u64 {
        (self.windows.output().iter().product::<usize>() * self.windows.area()) as u64
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.windows.area())
    }

    fn rectifying(&self, negative_slope: f64) -> Option<Arc<dyn Op>> {
        take_in(self.negative_slope, Self { negative_slope, ..*self })
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}

impl InHalf for AvgPoolForward {
    const NAME: &'static str = "avg_pool_forward_f16";
    const HALVES: &'static [&'static str] = &["input", "output"];

    fn half_variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f16 "avg_pool_forward_f16" "avg_pool_forward_f16.quad": "shared/channels", "shared/windows", "shared/rectifier", "avg_pool_forward");
        in_fours(shaders, self.windows.channels, 2, |shader, channels| self.linear(shader, channels))
    }
}

/// `input`, `output_grad` to `input_grad`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AvgPoolBackward {
    /// Sizes.
    pub windows: Windows,
    /// The slope of the rectifier that made the input: 1 for none, so that `input` is not read.
    pub negative_slope: f64,
}

impl AvgPoolBackward {
    fn linear(&self, shader: Shader, channels: usize) -> Variant {
        let invocations = self.windows.blocks() * self.windows.channels / channels;
        Variant::linear(shader, invocations, self.windows.window_height * (1 + self.windows.window_width))
    }
}

impl Op for AvgPoolBackward {
    fn name(&self) -> &'static str {
        "avg_pool_backward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        [self.windows.sizes(), vec![("negative_slope", self.negative_slope)]].concat()
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { windows: Windows::of_sizes(sizes)?, ..*self }))
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("input", F32, self.windows.input()),
            Operand::read("output_grad", F32, self.windows.output()),
            Operand::write("input_grad", F32, self.windows.input()),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f32 "avg_pool_backward" "avg_pool_backward.quad": "shared/channels", "shared/windows", "shared/blocks_of_map", "shared/rectifier_grad", "avg_pool_backward");
        in_fours(shaders, self.windows.channels, 1, |shader, channels| self.linear(shader, channels))
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let windows = self.windows;
        let [input, output_grad, input_grad] = tensors else { unreachable!("three operands") };
        let (channels, row) = (windows.channels, windows.width * windows.channels);
        let [_, rows, columns, _] = windows.output();
        let output_grad = output_grad.f32();
        let grads = input_grad.f32_mut().par_chunks_exact_mut(row).zip(input.f32().par_chunks_exact(row));
        grads.enumerate().for_each(|(index, (input_grad, input))| {
            let (n, window_y) = (index / windows.height, index % windows.height / windows.window_height);
            input_grad.fill(0.0);
            if window_y >= rows {
                return;
            }
            let covered = &mut input_grad[..columns * windows.window_width * channels];
            let values = input.chunks_exact(channels);
            for (x, (grads, values)) in covered.chunks_exact_mut(channels).zip(values).enumerate() {
                let window = ((n * rows + window_y) * columns + x / windows.window_width) * channels;
                let behind = &output_grad[window..window + channels];
                for ((grad, &behind), &value) in grads.iter_mut().zip(behind).zip(values) {
                    let share = (f64::from(behind) / windows.area() as f64) as f32;
                    *grad = grad_before(share, value, self.negative_slope);
                }
            }
        });
    }

    fn flops(&self) -> u64 {
        self.windows.input().iter().product::<usize>() as u64
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(2)
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

impl InHalf for AvgPoolBackward {
    const NAME: &'static str = "avg_pool_backward_f16";
    const HALVES: &'static [&'static str] = &["input", "output_grad", "input_grad"];

    fn half_variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f16 "avg_pool_backward_f16" "avg_pool_backward_f16.quad": "shared/channels", "shared/windows", "shared/blocks_of_map", "shared/rectifier_grad", "avg_pool_backward");
        in_fours(shaders, self.windows.channels, 2, |shader, channels| self.linear(shader, channels))
    }
}

/// Sizes at which kernels often fail: those of windows, and windows that are not square, one of them a whole map.
pub(crate) fn awkward() -> Vec<Windows> {
    let others = [[3, 7, 5, 6, 2, 5], [5, 4, 7, 12, 4, 7]].map(
        |[batch, height, width, channels, window_height, window_width]| Windows {
            batch,
            height,
            width,
            channels,
            window_height,
            window_width,
        },
    );
    [Windows::awkward(), others.into()].concat()
}

/// Those with an even number of channels, which half precision needs.
pub(crate) fn awkward_f16() -> Vec<Windows> {
    awkward().into_iter().filter(|windows| windows.channels.is_multiple_of(2)).collect()
}
