//! Rectifiers: the rectified linear unit and its leaky form (Maas et al. 2013), which lets a part of the negative
//! values through.
//!
//! ```text
//! output[i]     = input[i]       where input[i] > 0, else negative_slope · input[i]
//! input_grad[i] = output_grad[i] where output[i] > 0, else negative_slope · output_grad[i]
//! ```
//!
//! A slope of 0 is ReLU, whose gradient at 0 is 0, as in PyTorch. A slope of 1 is no rectifier. Ops that end with a
//! rectifier, or whose input came out of one, have its slope as a field and use `rectified` and `grad_before` in their
//! references.

use std::sync::Arc;

use super::formula::{Formula, elementwise_operands};
use super::fours::{in_fours, plain_and_quad};
use super::half::{Half, InHalf};
use crate::op::{Op, Operand, Sizes, Variant};
use crate::shader::Shader;

/// Slopes of cases: ReLU, none, and one between.
pub(crate) const SLOPES: [f64; 3] = [0.0, 1.0, 0.1];

/// A value behind a rectifier. The slope is 1 for none, 0 for ReLU.
pub(crate) fn rectified(value: f32, slope: f64) -> f32 {
    if value > 0.0 || slope == 1.0 {
        value
    } else if slope == 0.0 {
        0.0
    } else {
        slope as f32 * value
    }
}

/// The gradient before a rectifier, given that behind it and the value that came out of it.
pub(crate) fn grad_before(grad: f32, value: f32, slope: f64) -> f32 {
    if value > 0.0 || slope == 1.0 {
        grad
    } else if slope == 0.0 {
        0.0
    } else {
        slope as f32 * grad
    }
}

/// An op that has taken a rectifier in, as [`Op::rectifying`] and [`Op::before_rectifier`] say it: none if the op had
/// one, which its own slope tells.
pub(super) fn take_in(own_slope: f64, with_rectifier: impl Op) -> Option<Arc<dyn Op>> {
    (own_slope == 1.0).then(|| Arc::new(with_rectifier) as _)
}

/// Whether a slope needs a multiplication, which rounds.
fn roundings(slope: f64) -> usize {
    usize::from(slope != 0.0 && slope != 1.0)
}

/// `input` to `output`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReluForward {
    /// Elements.
    pub length: usize,
    /// The factor of what is not above 0.
    pub negative_slope: f64,
}

impl Formula for ReluForward {
    const NAME: &'static str = "relu_forward";
    const KERNELS: &'static [Shader] =
        &plain_and_quad!(f32 "relu_forward" "relu_forward.quad": "shared/rectifier", "relu_forward");

    fn operands(&self) -> Vec<Operand> {
        elementwise_operands(&["input", "output"], self.length)
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("length", self.length as f64), ("negative_slope", self.negative_slope)]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { length: sizes.size("length")?, ..*self }))
    }

    fn roundings(&self) -> usize {
        roundings(self.negative_slope)
    }

    fn value(&self, i: usize, inputs: &[&[f32]]) -> f32 {
        rectified(inputs[0][i], self.negative_slope)
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}

/// `output`, `output_grad` to `input_grad`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReluBackward {
    /// Elements.
    pub length: usize,
    /// The factor of what is not above 0.
    pub negative_slope: f64,
}

impl Formula for ReluBackward {
    const NAME: &'static str = "relu_backward";
    const KERNELS: &'static [Shader] =
        &plain_and_quad!(f32 "relu_backward" "relu_backward.quad": "shared/rectifier_grad", "relu_backward");

    fn operands(&self) -> Vec<Operand> {
        elementwise_operands(&["output", "output_grad", "input_grad"], self.length)
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("length", self.length as f64), ("negative_slope", self.negative_slope)]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { length: sizes.size("length")?, ..*self }))
    }

    fn roundings(&self) -> usize {
        roundings(self.negative_slope)
    }

    fn value(&self, i: usize, inputs: &[&[f32]]) -> f32 {
        let [output, output_grad] = [inputs[0][i], inputs[1][i]];
        grad_before(output_grad, output, self.negative_slope)
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}

impl InHalf for ReluForward {
    const NAME: &'static str = "relu_forward_f16";
    const HALVES: &'static [&'static str] = &["input", "output"];

    fn half_variants(&self) -> Vec<Variant> {
        let shaders =
            plain_and_quad!(f16 "relu_forward_f16" "relu_forward_f16.quad": "shared/rectifier", "relu_forward");
        in_fours(shaders, self.length, 2, |shader, elements| Variant::linear(shader, self.length / elements, 0))
    }
}

impl InHalf for ReluBackward {
    const NAME: &'static str = "relu_backward_f16";
    const HALVES: &'static [&'static str] = &["output", "output_grad", "input_grad"];

    fn half_variants(&self) -> Vec<Variant> {
        let shaders =
            plain_and_quad!(f16 "relu_backward_f16" "relu_backward_f16.quad": "shared/rectifier_grad", "relu_backward");
        in_fours(shaders, self.length, 2, |shader, elements| Variant::linear(shader, self.length / elements, 0))
    }
}
