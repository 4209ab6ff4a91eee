//! `leaky 0.1`: leaky ReLU (Maas et al. 2013).

use std::sync::Arc;

use anyhow::ensure;

use super::{Entry, Example, Layer, Recorder, number};
use crate::op::Operand;
use crate::ops::formula::{Formula, at_awkward_lengths, elementwise_kernels, elementwise_operands};
use crate::ops::row;
use crate::shader::Shader;

pub(super) const ENTRY: Entry = Entry {
    word: "leaky",
    forms: &["leaky 0.1"],
    help: "leaky ReLU: negative values are multiplied by 0.1",
    parse: |words| {
        let slope = number(words[0])?;
        ensure!((0.0..=1.0).contains(&slope), "the slope `{}` must be from 0 to 1", words[0]);
        Ok(Arc::new(Leaky { slope }))
    },
    ops: &[row("leaky_apply", || at_awkward_lengths(|length| LeakyApply { length, slope: 0.3 }))],
    example: Some(Example { form: "leaky 0.5", shape: &[3], input: &[-2.0, 0.0, 3.0], output: &[-1.0, 0.0, 3.0] }),
};

/// A leaky rectified linear unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leaky {
    /// The factor of negative values, from 0 to 1.
    pub slope: f64,
}

impl Leaky {
    fn op(&self, step: &Recorder<'_>) -> LeakyApply {
        LeakyApply { length: step.length(), slope: self.slope }
    }
}

impl Layer for Leaky {
    fn text(&self) -> String {
        format!("leaky {}", self.slope)
    }

    fn forward(&self, step: &mut Recorder<'_>) {
        step.call_with(self.op(step), &[("sign_of", "input")]);
    }

    /// The output has the sign of the input, unless the slope is 0; and 0 is not above 0 either.
    fn backward(&self, step: &mut Recorder<'_>) {
        step.call_with(self.op(step), &[("sign_of", "output"), ("input", "output_grad"), ("output", "input_grad")]);
    }

    fn negative_slope(&self) -> Option<f64> {
        Some(self.slope)
    }
}

/// `output[i] = input[i]` where `sign_of[i] > 0`, else `slope · input[i]`.
#[derive(Clone, Copy, Debug)]
struct LeakyApply {
    length: usize,
    slope: f64,
}

impl Formula for LeakyApply {
    const NAME: &'static str = "leaky_apply";
    const KERNELS: &'static [Shader] = elementwise_kernels!("leaky_apply", "leaky_apply.quad");

    fn operands(&self) -> Vec<Operand> {
        elementwise_operands(&["sign_of", "input", "output"], self.length)
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("length", self.length as f64), ("slope", self.slope)]
    }

    fn roundings(&self) -> usize {
        1
    }

    fn value(&self, i: usize, inputs: &[&[f32]]) -> f32 {
        let [sign_of, input] = [inputs[0][i], inputs[1][i]];
        if sign_of > 0.0 { input } else { self.slope as f32 * input }
    }
}
