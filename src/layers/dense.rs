//! `dense 10`: fully connected with bias.

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::network::{Function, NetworkBuilder};
use super::{Entry, Layer, ParameterSpec, Recorder, bound_of_sums, size, weight_and_bias};
use crate::ops::dense::{self, DenseBackward, DenseBackwardWeight, DenseForward};
use crate::tensor::HostTensor;

pub(super) const ENTRY: Entry = Entry {
    word: "dense",
    forms: &["dense 10"],
    help: "dense (fully connected) layer with 10 outputs",
    parse: |words, _| Ok(Arc::new(Dense { outputs: size(words[0])? })),
    ops: &[],
    example: None,
};

/// A fully connected layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dense {
    /// Output features.
    pub outputs: usize,
}

impl Dense {
    /// The sizes of its ops.
    pub(crate) fn sizes(&self, batch: usize, input: &[usize]) -> dense::Dense {
        dense::Dense { batch, inputs: input[0], outputs: self.outputs }
    }
}

impl Layer for Dense {
    fn text(&self) -> String {
        format!("dense {}", self.outputs)
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>> {
        ensure!(input.len() == 1, "its output would be [{}]; put `flatten` before it", self.outputs);
        Ok(vec![self.outputs])
    }

    fn parameters(&self, input: &[usize]) -> Vec<ParameterSpec> {
        weight_and_bias([self.outputs, input[0]])
    }

    fn forward(&self, step: &mut Recorder<'_>) {
        step.call(DenseForward { dense: self.sizes(step.batch(), step.input()), negative_slope: 1.0 });
    }

    fn backward(&self, step: &mut Recorder<'_>) {
        let dense = self.sizes(step.batch(), step.input());
        if step.needs_input_grad {
            step.call(DenseBackward { dense, negative_slope: 1.0 });
        } else {
            step.call(DenseBackwardWeight(dense));
        }
    }

    fn describe(&self, network: &mut NetworkBuilder<'_>) -> Result<()> {
        let (weight, bias) = (network.parameter("weight")?, network.parameter("bias")?);
        network.apply(Function::Dense { weight, bias });
        Ok(())
    }

    fn bound(&self, input: f64, parameters: &[HostTensor]) -> f64 {
        bound_of_sums(input, parameters)
    }
}
