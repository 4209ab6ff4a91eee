//! The gradients of batch normalisation.

use std::sync::Arc;

use rayon::prelude::*;

use super::apply::factor;
use super::{EPSILON, Norm, cases};
use crate::op::{Op, Operand, Sizes, Variant, shader, sum_tolerance};
use crate::ops::fours::plain_and_quad;
use crate::ops::half::Half;
use crate::ops::relu::{grad_before, take_in};
use crate::random::Random;
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;

/// `input`, `output_grad`, `mean`, `variance` to `grad_sums`: sums over each chunk of rows of `output_grad`, and of its products
/// with the normalised input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NormBackwardSums(pub Norm);

impl Op for NormBackwardSums {
    fn name(&self) -> &'static str {
        "norm_backward_sums"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        [self.0.sizes_in_chunks(), vec![("epsilon", EPSILON)]].concat()
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self(Norm::of_sizes(sizes)?)))
    }

    fn operands(&self) -> Vec<Operand> {
        let [mean, variance] = self.0.read_channels(["mean", "variance"]);
        vec![
            Operand::read("input", F32, self.0.map()),
            Operand::read("output_grad", F32, self.0.map()),
            mean,
            variance,
            Operand::write("grad_sums", F32, self.0.pairs()),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f32 "norm_backward_sums" "norm_backward_sums.quad": "shared/channels", "shared/norm_rows", "shared/row_chunks", "norm_backward_sums");
        self.0.in_chunks(shaders, 1)
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, output_grad, mean, variance, grad_sums] = tensors else { unreachable!("five operands") };
        let channels = self.0.channels;
        let chunk = self.0.rows_per_chunk() * channels;
        let chunks = input.f32().par_chunks(chunk).zip(output_grad.f32().par_chunks(chunk));
        grad_sums.f32_mut().par_chunks_exact_mut(2 * channels).zip(chunks).for_each(|(to, (input, grads))| {
            let mut sums = vec![[0.0; 2]; channels];
            for (input, grads) in input.chunks_exact(channels).zip(grads.chunks_exact(channels)) {
                for (([sum, product], (&value, &grad)), &mean) in
                    sums.iter_mut().zip(input.iter().zip(grads)).zip(mean.f32())
                {
                    *sum += f64::from(grad);
                    *product += f64::from(grad) * (f64::from(value) - f64::from(mean));
                }
            }
            for (c, [sum, product]) in sums.into_iter().enumerate() {
                to[c] = sum as f32;
                to[channels + c] = (product * factor(1.0, variance.f32()[c])) as f32;
            }
        });
    }

    fn flops(&self) -> u64 {
        4 * (self.0.rows() * self.0.channels) as u64
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.0.rows_per_chunk())
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        cases::test_inputs(self, random)
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}

/// `grad_sums` to `weight_grad`, `bias_grad`, and `grad_means`: both over the number of rows, in the units of `output_grad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NormBackwardWeight(pub Norm);

impl Op for NormBackwardWeight {
    fn name(&self) -> &'static str {
        "norm_backward_weight"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes_in_chunks()
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self(Norm::of_sizes(sizes)?)))
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("grad_sums", F32, self.0.pairs()),
            Operand::write("weight_grad", F32, [self.0.channels]),
            Operand::write("bias_grad", F32, [self.0.channels]),
            Operand::write("grad_means", F32, [2, self.0.channels]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("norm_backward_weight": "shared/linear", "shared/floats_f32", "shared/single",
            "shared/channels", "shared/norm_rows", "shared/row_chunks", "shared/grad_divisors_f32", "norm_backward_weight");
        vec![Variant::linear(shader, self.0.channels, self.0.chunks())]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [grad_sums, weight_grad, bias_grad, grad_means] = tensors else { unreachable!("four operands") };
        let channels = self.0.channels;
        for c in 0..channels {
            let total =
                |of: usize| grad_sums.f32().iter().skip(of).step_by(2 * channels).map(|&sum| f64::from(sum)).sum();
            let [bias, weight]: [f64; 2] = [total(c), total(channels + c)];
            bias_grad.f32_mut()[c] = bias as f32;
            weight_grad.f32_mut()[c] = weight as f32;
            grad_means.f32_mut()[c] = (bias / self.0.rows() as f64) as f32;
            grad_means.f32_mut()[channels + c] = (weight / self.0.rows() as f64) as f32;
        }
    }

    fn flops(&self) -> u64 {
        (2 * self.0.chunks() * self.0.channels) as u64
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.0.chunks())
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}

/// `input`, `output_grad`, `mean`, `variance`, `weight`, `grad_means` to `input_grad`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormBackwardInput {
    /// Sizes.
    pub norm: Norm,
    /// The slope of the rectifier that made the input: 1 for none.
    pub negative_slope: f64,
}

impl Op for NormBackwardInput {
    fn name(&self) -> &'static str {
        "norm_backward_input"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        [self.norm.sizes(), vec![("epsilon", EPSILON), ("negative_slope", self.negative_slope)]].concat()
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { norm: Norm::of_sizes(sizes)?, ..*self }))
    }

    fn operands(&self) -> Vec<Operand> {
        let [mean, variance, weight] = self.norm.read_channels(["mean", "variance", "weight"]);
        vec![
            Operand::read("input", F32, self.norm.map()),
            Operand::read("output_grad", F32, self.norm.map()),
            mean,
            variance,
            weight,
            Operand::read("grad_means", F32, [2, self.norm.channels]),
            Operand::write("input_grad", F32, self.norm.map()),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f32 "norm_backward_input" "norm_backward_input.quad": "shared/channels", "shared/norm_rows", "shared/row_steps", "shared/rectifier_grad", "norm_backward_input");
        self.norm.in_steps(shaders, 1)
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, output_grad, mean, variance, weight, grad_means, input_grad] = tensors else {
            unreachable!("seven operands")
        };
        let channels = self.norm.channels;
        // For each channel: mean of the input, what is taken off for all and by the input, and the factor.
        let constants = (0..channels).map(|c| {
            let [mean, all, by_input] =
                [mean.f32()[c], grad_means.f32()[c], grad_means.f32()[channels + c]].map(f64::from);
            let deviation = factor(1.0, variance.f32()[c]);
            [mean, all, by_input * deviation, f64::from(weight.f32()[c]) * deviation]
        });
        let constants: Vec<[f64; 4]> = constants.collect();
        let behind = input.f32().par_chunks_exact(channels).zip(output_grad.f32().par_chunks_exact(channels));
        let rows = input_grad.f32_mut().par_chunks_exact_mut(channels).zip(behind);
        rows.with_min_len((1 << 14) / channels + 1).for_each(|(grads, (input, behind))| {
            let values = grads.iter_mut().zip(input.iter().zip(behind)).zip(&constants);
            for ((grad, (&value, &behind)), [mean, all, by_input, factor]) in values {
                let exact = (f64::from(behind) - all - (f64::from(value) - mean) * by_input) * factor;
                *grad = grad_before(exact as f32, value, self.negative_slope);
            }
        });
    }

    fn flops(&self) -> u64 {
        5 * (self.norm.rows() * self.norm.channels) as u64
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(32)
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        cases::test_inputs(self, random)
    }

    fn before_rectifier(&self, negative_slope: f64) -> Option<Arc<dyn Op>> {
        take_in(self.negative_slope, Self { negative_slope, ..*self })
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}
