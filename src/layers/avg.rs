//! `avg 2`: average-pooling over square windows that do not overlap; rows and columns left over are dropped.

use std::sync::Arc;

use anyhow::Result;

use super::pool::{pooled, sizes};
use super::{Entry, Example, Layer, Recorder, size};
use crate::op::Operand;
use crate::ops::{each, formula::Formula, max_pool::MaxPool, row};
use crate::shader::{Shader, shader};
use crate::tensor::DType::F32;

pub(super) const ENTRY: Entry = Entry {
    word: "avg",
    forms: &["avg 2"],
    help: "average-pooling over windows of 2x2 that do not overlap",
    parse: |words| Ok(Arc::new(Avg { size: size(words[0])? })),
    ops: &[row("avg_pool", || {
        [each(MaxPool::awkward(), AvgPool::<false>), each(MaxPool::awkward(), AvgPool::<true>)].concat()
    })],
    example: Some(Example { form: "avg 2", shape: &[1, 2, 3], input: &[1.0, 2.0, 9.0, 4.0, 5.0, 9.0], output: &[3.0] }),
};

/// An average-pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avg {
    /// Rows and columns of a window.
    pub size: usize,
}

impl Layer for Avg {
    fn text(&self) -> String {
        format!("avg {}", self.size)
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>> {
        pooled(input, self.size)
    }

    fn forward(&self, step: &mut Recorder<'_>) {
        step.call(AvgPool::<false>(sizes(step, self.size)));
    }

    fn backward(&self, step: &mut Recorder<'_>) {
        let op = AvgPool::<true>(sizes(step, self.size));
        step.call_with(op, &[("input", "output_grad"), ("output", "input_grad")]);
    }
}

/// The means of windows or, backward, a share for each element of a window, and 0 for what is left over.
#[derive(Clone, Copy, Debug)]
struct AvgPool<const BACKWARD: bool>(MaxPool);

impl<const BACKWARD: bool> Formula for AvgPool<BACKWARD> {
    const NAME: &'static str = "avg_pool";
    const KERNELS: &'static [Shader] = &[shader!("avg_pool": "shared/linear", "shared/max_pool", "avg_pool")];

    fn operands(&self) -> Vec<Operand> {
        let (map, means) = (self.0.input(), self.0.output());
        let [from, to] = if BACKWARD { [means, map] } else { [map, means] };
        vec![Operand::read("input", F32, from), Operand::write("output", F32, to)]
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        [self.0.sizes(), vec![("backward", f64::from(u8::from(BACKWARD)))]].concat()
    }

    fn roundings(&self) -> usize {
        self.0.size * self.0.size
    }

    fn value(&self, i: usize, inputs: &[&[f32]]) -> f32 {
        let ([_, height, width], [_, rows, columns]) = (self.0.input(), self.0.output());
        let sum: f64 = if BACKWARD {
            let (plane, y, x) = (i / (height * width), i / width % height / self.0.size, i % width / self.0.size);
            if y < rows && x < columns { inputs[0][(plane * rows + y) * columns + x].into() } else { 0.0 }
        } else {
            let (plane, window) = (i / (rows * columns), i % (rows * columns));
            self.0.window(window).map(|place| f64::from(inputs[0][plane * height * width + place])).sum()
        };
        (sum / (self.0.size * self.0.size) as f64) as f32
    }
}
