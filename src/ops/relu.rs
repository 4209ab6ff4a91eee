//! The rectified linear unit.
//!
//! ```text
//! output[i]     = max(input[i], 0)
//! input_grad[i] = output_grad[i] if output[i] > 0, else 0
//! ```
//!
//! The gradient at 0 is 0, as in PyTorch.

use rayon::prelude::*;

use crate::op::{Op, Operand, Shader, Variant, shader};
use crate::random::Random;
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;

/// Four elements an invocation if the length is a multiple of four, otherwise one.
fn variants(length: usize, vec4: Shader, plain: Shader) -> Vec<Variant> {
    let mut variants = vec![Variant::linear(plain, length, 0)];
    if length.is_multiple_of(4) {
        variants.insert(0, Variant::linear(vec4, length / 4, 0));
    }
    variants
}

/// Lengths at which kernels often fail.
pub(super) fn awkward_lengths() -> Vec<usize> {
    vec![1, 63, 64, 65, 1009, 64 * 64 + 1, 4 * 64 * 130 + 4]
}

/// `input` to `output`, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReluForward {
    /// Elements.
    pub length: usize,
}

impl Op for ReluForward {
    fn name(&self) -> &'static str {
        "relu_forward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("length", self.length as f64)]
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read("input", F32, [self.length]), Operand::write("output", F32, [self.length])]
    }

    fn variants(&self) -> Vec<Variant> {
        variants(self.length, shader!("relu_forward.vec4"), shader!("relu_forward"))
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, output] = tensors else { unreachable!("two operands") };
        let elements = output.f32_mut().par_iter_mut().zip(input.f32()).with_min_len(1 << 14);
        elements.for_each(|(output, &input)| *output = input.max(0.0));
    }

    fn flops(&self) -> u64 {
        self.length as u64
    }

    fn tolerance(&self) -> f64 {
        0.0
    }
}

/// `output`, `output_grad` to `input_grad`, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReluBackward {
    /// Elements.
    pub length: usize,
}

impl Op for ReluBackward {
    fn name(&self) -> &'static str {
        "relu_backward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("length", self.length as f64)]
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("output", F32, [self.length]),
            Operand::read("output_grad", F32, [self.length]),
            Operand::write("input_grad", F32, [self.length]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        variants(self.length, shader!("relu_backward.vec4"), shader!("relu_backward"))
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [output, output_grad, input_grad] = tensors else { unreachable!("three operands") };
        let elements = input_grad.f32_mut().par_iter_mut().zip(output.f32()).zip(output_grad.f32());
        elements.with_min_len(1 << 14).for_each(|((input_grad, &output), &output_grad)| {
            *input_grad = if output > 0.0 { output_grad } else { 0.0 };
        });
    }

    fn flops(&self) -> u64 {
        self.length as u64
    }

    fn tolerance(&self) -> f64 {
        0.0
    }

    /// Outputs like those of the forward pass: about half of them are exactly zero.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let mut draw = |low| HostTensor::from_f32([self.length], &self.draw(random, low));
        vec![draw(0.0), draw(-1.0), HostTensor::zeros(F32, [self.length].into())]
    }
}

impl ReluBackward {
    fn draw(&self, random: &mut Random, least: f32) -> Vec<f32> {
        (0..self.length).map(|_| random.uniform(-1.0, 1.0).max(least)).collect()
    }
}
