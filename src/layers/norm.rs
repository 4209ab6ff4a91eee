//! `norm`: batch normalisation (Ioffe and Szegedy 2015), over the channels of a map or the elements of a vector.

use std::sync::Arc;

use anyhow::Result;

use super::network::{Function, NetworkBuilder};
use super::{Entry, Initial, Layer, ParameterSpec, Recorder};
use crate::ops::norm::{
    self, EPSILON, NormApply, NormBackwardInput, NormBackwardSums, NormBackwardWeight, NormMoments, NormStatistics,
};
use crate::tensor::HostTensor;

pub(super) const ENTRY: Entry = Entry {
    word: "norm",
    forms: &["norm"],
    help: "batch normalisation, with a learned factor and shift for each channel",
    parse: |_, _| Ok(Arc::new(Norm)),
    ops: &[],
    example: None,
};

/// The name of the means of the gradient in evaluation, which are zeros.
pub(crate) const ZERO_MEANS: &str = "zero_means";

/// A batch normalisation: by the statistics of the batch in training, by running ones in evaluation and where it is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Norm;

impl Norm {
    fn sizes(&self, step: &Recorder<'_>) -> norm::Norm {
        let area = step.input()[1..].iter().product();
        norm::Norm { batch: step.batch(), area, channels: step.input()[0] }
    }
}

impl Layer for Norm {
    fn text(&self) -> String {
        "norm".to_owned()
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn parameters(&self, input: &[usize]) -> Vec<ParameterSpec> {
        let parameter = |name, value| ParameterSpec::new(name, [input[0]], Initial::Constant(value)).as_input();
        vec![
            parameter("weight", 1.0),
            parameter("bias", 0.0),
            parameter("running_mean", 0.0).untrained(),
            parameter("running_var", 1.0).untrained(),
        ]
    }

    fn forward(&self, step: &mut Recorder<'_>) {
        let norm = self.sizes(step);
        let apply = NormApply { norm, negative_slope: 1.0 };
        if step.trains() && !step.is_frozen() {
            step.call(NormMoments(norm));
            step.call(NormStatistics(norm));
            step.call(apply);
        } else {
            step.call_with(apply, &[("mean", "running_mean"), ("variance", "running_var")]);
        }
    }

    fn backward(&self, step: &mut Recorder<'_>) {
        let norm = self.sizes(step);
        let of_input = NormBackwardInput { norm, negative_slope: 1.0 };
        if !step.trains() {
            // Running statistics do not depend on the input, so that these means are zeros, which whoever asks for this has.
            step.call_with(
                of_input,
                &[("mean", "running_mean"), ("variance", "running_var"), ("grad_means", ZERO_MEANS)],
            );
            return;
        }
        step.call(NormBackwardSums(norm));
        step.call(NormBackwardWeight(norm));
        step.call(of_input);
    }

    fn describe(&self, network: &mut NetworkBuilder<'_>) -> Result<()> {
        let function = Function::Normalization {
            weight: network.parameter("weight")?,
            bias: network.parameter("bias")?,
            mean: network.parameter("running_mean")?,
            variance: network.parameter("running_var")?,
            epsilon: EPSILON,
        };
        network.apply(function);
        Ok(())
    }

    fn bound(&self, input: f64, parameters: &[HostTensor]) -> f64 {
        let [weight, bias, mean, variance] = parameters else { return f64::INFINITY };
        let magnitude = |of: &HostTensor, c: usize| f64::from(of.f32()[c]).abs();
        let of_channel = |c: usize| {
            let factor = magnitude(weight, c) / (magnitude(variance, c) + EPSILON).sqrt();
            (input + magnitude(mean, c)) * factor + magnitude(bias, c)
        };
        (0..weight.f32().len()).map(of_channel).fold(0.0, f64::max)
    }
}
