//! Dense (fully connected) layers.
//!
//! ```text
//! output[n,o]      = bias[o] + Σ_k input[n,k] · weight[o,k]
//! input_grad[n,k]  = Σ_o output_grad[n,o] · weight[o,k]
//! weight_grad[o,k] = Σ_n output_grad[n,o] · input[n,k]
//! ```

use pulp::Arch;
use rayon::prelude::*;

use crate::op::{Op, Operand, Variant, shader, sum_tolerance};
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;

/// Sizes of a dense layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dense {
    /// Samples.
    pub batch: usize,
    /// Features of the input.
    pub inputs: usize,
    /// Features of the output.
    pub outputs: usize,
}

impl Dense {
    pub(super) fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("batch", self.batch as f64), ("inputs", self.inputs as f64), ("outputs", self.outputs as f64)]
    }

    fn flops(&self) -> u64 {
        2 * (self.batch * self.inputs * self.outputs) as u64
    }

    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        [
            (1, 1, 1),
            (1, 7, 10),
            (3, 65, 2),
            (17, 129, 11),
            (64, 64, 64),
            (131, 31, 10),
            (2, 50_176, 3),
            (5, 3, 257),
            (5, 6, 9),
            (9, 12, 12),
            (6, 8, 5),
            (2081, 5, 3),
            (131, 36, 132),
            (3, 8, 20),
        ]
        .map(|(batch, inputs, outputs)| Self { batch, inputs, outputs })
        .into()
    }

    /// The same with an even `written`, which half precision writes two to a word.
    pub(super) fn awkward_f16(written: fn(&Self) -> usize) -> Vec<Self> {
        let sizes = [
            (1, 2, 2),
            (1, 7, 10),
            (1, 6, 3),
            (3, 66, 2),
            (17, 129, 12),
            (4, 10, 9),
            (64, 64, 64),
            (131, 30, 10),
            (3, 50_176, 4),
            (5, 4, 258),
            (5, 6, 10),
            (9, 12, 12),
            (6, 8, 6),
            (2081, 6, 4),
        ];
        let all = sizes.into_iter().map(|(batch, inputs, outputs)| Self { batch, inputs, outputs });
        all.filter(|dense| written(dense).is_multiple_of(2)).collect()
    }
}

/// Adds `Σ factor · row` over pairs of a factor and a row to `sums`, in f64, and rounds once at the end.
#[inline(always)]
fn weighted_sum<'a>(terms: impl Iterator<Item = (f32, &'a [f32])>, result: &mut [f32]) {
    let mut sums = vec![0.0; result.len()];
    for (factor, row) in terms {
        sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(factor) * f64::from(value));
    }
    result.iter_mut().zip(sums).for_each(|(result, sum)| *result = sum as f32);
}

/// `input`, `weight`, `bias` to `output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DenseForward(pub Dense);

impl Op for DenseForward {
    fn name(&self) -> &'static str {
        "dense_forward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn operands(&self) -> Vec<Operand> {
        let Dense { batch, inputs, outputs } = self.0;
        vec![
            Operand::read("input", F32, [batch, inputs]),
            Operand::read("weight", F32, [outputs, inputs]),
            Operand::read("bias", F32, [outputs]),
            Operand::write("output", F32, [batch, outputs]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("dense_forward": "shared/linear", "shared/dense", "dense_forward");
        vec![Variant::linear(shader, self.0.batch * self.0.outputs, self.0.inputs)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let Dense { inputs, outputs, .. } = self.0;
        let [input, weight, bias, output] = tensors else { unreachable!("four operands") };
        let (input, weight, bias) = (input.f32(), weight.f32(), bias.f32());
        let samples = output.f32_mut().par_chunks_exact_mut(outputs).zip(input.par_chunks_exact(inputs));
        samples.for_each(|(output, input)| {
            for (o, output) in output.iter_mut().enumerate() {
                let products = weight[o * inputs..].iter().zip(input).map(|(&w, &x)| f64::from(w) * f64::from(x));
                *output = (f64::from(bias[o]) + products.sum::<f64>()) as f32;
            }
        });
    }

    fn flops(&self) -> u64 {
        self.0.flops()
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.0.inputs)
    }
}

/// `output_grad`, `weight` to `input_grad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DenseBackwardInput(pub Dense);

impl Op for DenseBackwardInput {
    fn name(&self) -> &'static str {
        "dense_backward_input"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn operands(&self) -> Vec<Operand> {
        let Dense { batch, inputs, outputs } = self.0;
        vec![
            Operand::read("output_grad", F32, [batch, outputs]),
            Operand::read("weight", F32, [outputs, inputs]),
            Operand::write("input_grad", F32, [batch, inputs]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("dense_backward_input": "shared/linear", "shared/dense", "dense_backward_input");
        vec![Variant::linear(shader, self.0.batch * self.0.inputs, self.0.outputs)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let Dense { inputs, outputs, .. } = self.0;
        let [output_grad, weight, input_grad] = tensors else { unreachable!("three operands") };
        let weight = weight.f32();
        let grads = output_grad.f32().par_chunks_exact(outputs);
        input_grad.f32_mut().par_chunks_exact_mut(inputs).zip(grads).for_each(|(input_grad, output_grad)| {
            let terms = output_grad.iter().copied().zip(weight.chunks_exact(inputs));
            Arch::new().dispatch(|| weighted_sum(terms, input_grad));
        });
    }

    fn flops(&self) -> u64 {
        self.0.flops()
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.0.outputs)
    }
}

/// `input`, `output_grad` to `weight_grad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DenseBackwardWeight(pub Dense);

impl Op for DenseBackwardWeight {
    fn name(&self) -> &'static str {
        "dense_backward_weight"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn operands(&self) -> Vec<Operand> {
        let Dense { batch, inputs, outputs } = self.0;
        vec![
            Operand::read("input", F32, [batch, inputs]),
            Operand::read("output_grad", F32, [batch, outputs]),
            Operand::write("weight_grad", F32, [outputs, inputs]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("dense_backward_weight": "shared/linear", "shared/dense", "dense_backward_weight");
        vec![Variant::linear(shader, self.0.outputs * self.0.inputs, self.0.batch)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let Dense { inputs, outputs, .. } = self.0;
        let [input, output_grad, weight_grad] = tensors else { unreachable!("three operands") };
        let (input, output_grad) = (input.f32(), output_grad.f32());
        weight_grad.f32_mut().par_chunks_exact_mut(inputs).enumerate().for_each(|(o, weight_grad)| {
            let terms = output_grad.iter().skip(o).step_by(outputs).copied().zip(input.chunks_exact(inputs));
            Arch::new().dispatch(|| weighted_sum(terms, weight_grad));
        });
    }

    fn flops(&self) -> u64 {
        self.0.flops()
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.0.batch)
    }
}
