//! The rectified linear unit.
//!
//! ```text
//! output[i]     = max(input[i], 0)
//! input_grad[i] = output_grad[i] if output[i] > 0, else 0
//! ```
//!
//! The gradient at 0 is 0, as in PyTorch.

use super::formula::{Formula, elementwise_kernels, elementwise_operands};
use crate::op::Operand;
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

/// `input` to `output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReluForward {
    /// Elements.
    pub length: usize,
}

impl Formula for ReluForward {
    const NAME: &'static str = "relu_forward";
    const KERNELS: &'static [Shader] = elementwise_kernels!("relu_forward", "relu_forward.quad");

    fn operands(&self) -> Vec<Operand> {
        elementwise_operands(&["input", "output"], self.length)
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("length", self.length as f64)]
    }

    fn value(&self, i: usize, inputs: &[&[f32]]) -> f32 {
        inputs[0][i].max(0.0)
    }
}

/// `output`, `output_grad` to `input_grad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReluBackward {
    /// Elements.
    pub length: usize,
}

impl Formula for ReluBackward {
    const NAME: &'static str = "relu_backward";
    const KERNELS: &'static [Shader] = elementwise_kernels!("relu_backward", "relu_backward.quad");

    fn operands(&self) -> Vec<Operand> {
        elementwise_operands(&["output", "output_grad", "input_grad"], self.length)
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("length", self.length as f64)]
    }

    fn value(&self, i: usize, inputs: &[&[f32]]) -> f32 {
        let [output, output_grad] = [inputs[0][i], inputs[1][i]];
        if output > 0.0 { output_grad } else { 0.0 }
    }
}
