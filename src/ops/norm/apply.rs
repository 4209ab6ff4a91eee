//! Batch normalisation with given statistics, and its folding into the weights before it.

use std::sync::Arc;

use rayon::prelude::*;

use super::{EPSILON, Norm, cases};
use crate::op::{Op, Operand, Sizes, Variant, shader, sum_tolerance};
use crate::ops::fours::plain_and_quad;
use crate::ops::half::Half;
use crate::ops::relu::{rectified, take_in};
use crate::random::Random;
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;

/// The factor of a channel: `weight / √(variance + epsilon)`.
pub(super) fn factor(weight: f32, variance: f32) -> f64 {
    f64::from(weight) / (f64::from(variance) + EPSILON).sqrt()
}

/// `input`, `mean`, `variance`, `weight`, `bias` to `output`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormApply {
    /// Sizes.
    pub norm: Norm,
    /// The factor of what is not above 0: 1 for no rectifier.
    pub negative_slope: f64,
}

impl Op for NormApply {
    fn name(&self) -> &'static str {
        "norm_apply"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        [self.norm.sizes(), vec![("epsilon", EPSILON), ("negative_slope", self.negative_slope)]].concat()
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { norm: Norm::of_sizes(sizes)?, ..*self }))
    }

    fn operands(&self) -> Vec<Operand> {
        let channels = self.norm.read_channels(["mean", "variance", "weight", "bias"]);
        let (input, output) =
            (Operand::read("input", F32, self.norm.map()), Operand::write("output", F32, self.norm.map()));
        [input].into_iter().chain(channels).chain([output]).collect()
    }

    fn variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f32 "norm_apply" "norm_apply.quad": "shared/channels", "shared/norm_rows", "shared/row_steps", "shared/rectifier", "norm_apply");
        self.norm.in_steps(shaders, 1)
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, mean, variance, weight, bias, output] = tensors else { unreachable!("six operands") };
        let channels = self.norm.channels;
        let factors = weight.f32().iter().zip(variance.f32()).map(|(&weight, &variance)| factor(weight, variance));
        let factors: Vec<f64> = factors.collect();
        let rows = output.f32_mut().par_chunks_exact_mut(channels).zip(input.f32().par_chunks_exact(channels));
        rows.with_min_len((1 << 14) / channels + 1).for_each(|(output, input)| {
            let values = output.iter_mut().zip(input).zip(mean.f32()).zip(&factors).zip(bias.f32());
            for ((((output, &input), &mean), factor), &bias) in values {
                let value = (f64::from(input) - f64::from(mean)) * factor + f64::from(bias);
                *output = rectified(value as f32, self.negative_slope);
            }
        });
    }

    fn flops(&self) -> u64 {
        3 * (self.norm.rows() * self.norm.channels) as u64
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(16)
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        cases::test_inputs(self, random)
    }

    fn rectifying(&self, negative_slope: f64) -> Option<Arc<dyn Op>> {
        take_in(self.negative_slope, Self { negative_slope, ..*self })
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}

/// The weights of a layer and the running statistics of the normalisation behind it to weights of a layer that does
/// both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NormFold {
    /// Terms of each of the sums.
    pub terms: usize,
    /// Outputs.
    pub outputs: usize,
}

impl Op for NormFold {
    fn name(&self) -> &'static str {
        "norm_fold"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("terms", self.terms as f64), ("outputs", self.outputs as f64), ("epsilon", EPSILON)]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { terms: sizes.size("terms")?, outputs: sizes.size("outputs")? }))
    }

    fn operands(&self) -> Vec<Operand> {
        let (weights, outputs) = ([self.terms, self.outputs], [self.outputs]);
        let channels = ["bias", "norm_weight", "norm_bias", "running_mean", "running_var"];
        [Operand::read("weight", F32, weights)]
            .into_iter()
            .chain(channels.map(|name| Operand::read(name, F32, outputs)))
            .chain([Operand::write("folded_weight", F32, weights), Operand::write("folded_bias", F32, outputs)])
            .collect()
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("norm_fold": "shared/linear", "norm_fold");
        vec![Variant::linear(shader, self.terms * self.outputs, 0)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [weight, bias, norm_weight, norm_bias, mean, variance, folded_weight, folded_bias] = tensors else {
            unreachable!("eight operands")
        };
        for o in 0..self.outputs {
            let factor = factor(norm_weight.f32()[o], variance.f32()[o]);
            let [bias, mean, norm_bias] = [&bias, &mean, &norm_bias].map(|tensor| f64::from(tensor.f32()[o]));
            folded_bias.f32_mut()[o] = ((bias - mean) * factor + norm_bias) as f32;
            for i in (o..self.terms * self.outputs).step_by(self.outputs) {
                folded_weight.f32_mut()[i] = (f64::from(weight.f32()[i]) * factor) as f32;
            }
        }
    }

    fn flops(&self) -> u64 {
        (self.terms * self.outputs) as u64
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(16)
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        cases::test_inputs(self, random)
    }
}
