//! Sums of two tensors: where a residual branch ends, and where the gradients of two branches meet.
//!
//! ```text
//! output[i]     = left[i] + right[i], rectified
//! input_grad[i] = left_grad[i] + right_grad[i], before the rectifier that made input[i]
//! ```

use std::sync::Arc;

use super::formula::{Formula, elementwise_operands};
use super::fours::{in_fours, plain_and_quad};
use super::half::{Half, InHalf};
use super::relu::{grad_before, rectified, take_in};
use crate::op::{Op, Operand, Sizes, Variant};
use crate::shader::Shader;

/// `left`, `right` to `output`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SumForward {
    /// Elements.
    pub length: usize,
    /// The slope of the rectifier of the output; 1 for none.
    pub negative_slope: f64,
}

impl Formula for SumForward {
    const NAME: &'static str = "sum_forward";
    const KERNELS: &'static [Shader] =
        &plain_and_quad!(f32 "sum_forward" "sum_forward.quad": "shared/rectifier", "sum_forward");

    fn operands(&self) -> Vec<Operand> {
        elementwise_operands(&["left", "right", "output"], self.length)
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("length", self.length as f64), ("negative_slope", self.negative_slope)]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { length: sizes.size("length")?, ..*self }))
    }

    fn roundings(&self) -> usize {
        2
    }

    fn value(&self, i: usize, inputs: &[&[f32]]) -> f32 {
        rectified(inputs[0][i] + inputs[1][i], self.negative_slope)
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }

    fn rectifying(&self, negative_slope: f64) -> Option<Arc<dyn Op>> {
        take_in(self.negative_slope, Self { negative_slope, ..*self })
    }
}

/// `left_grad`, `right_grad`, `input` to `input_grad`; `input` is read only where the slope is not 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SumBackward {
    /// Elements.
    pub length: usize,
    /// The slope of the rectifier that made the input; 1 for none.
    pub negative_slope: f64,
}

impl Formula for SumBackward {
    const NAME: &'static str = "sum_backward";
    const KERNELS: &'static [Shader] =
        &plain_and_quad!(f32 "sum_backward" "sum_backward.quad": "shared/rectifier_grad", "sum_backward");

    fn operands(&self) -> Vec<Operand> {
        elementwise_operands(&["left_grad", "right_grad", "input", "input_grad"], self.length)
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("length", self.length as f64), ("negative_slope", self.negative_slope)]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { length: sizes.size("length")?, ..*self }))
    }

    fn roundings(&self) -> usize {
        2
    }

    fn value(&self, i: usize, inputs: &[&[f32]]) -> f32 {
        grad_before(inputs[0][i] + inputs[1][i], inputs[2][i], self.negative_slope)
    }

    fn leaves_unread(&self, operand: &str) -> bool {
        operand == "input" && self.negative_slope == 1.0
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }

    fn before_rectifier(&self, negative_slope: f64) -> Option<Arc<dyn Op>> {
        take_in(self.negative_slope, Self { negative_slope, ..*self })
    }
}

impl InHalf for SumForward {
    const NAME: &'static str = "sum_forward_f16";
    const HALVES: &'static [&'static str] = &["left", "right", "output"];

    fn half_variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f16 "sum_forward_f16" "sum_forward_f16.quad": "shared/rectifier", "sum_forward");
        in_fours(shaders, self.length, 2, |shader, elements| Variant::linear(shader, self.length / elements, 0))
    }
}

impl InHalf for SumBackward {
    const NAME: &'static str = "sum_backward_f16";
    const HALVES: &'static [&'static str] = &["left_grad", "right_grad", "input", "input_grad"];

    fn half_variants(&self) -> Vec<Variant> {
        let shaders =
            plain_and_quad!(f16 "sum_backward_f16" "sum_backward_f16.quad": "shared/rectifier_grad", "sum_backward");
        in_fours(shaders, self.length, 2, |shader, elements| Variant::linear(shader, self.length / elements, 0))
    }
}
