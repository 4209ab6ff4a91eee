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
