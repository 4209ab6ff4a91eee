//! Ops in half precision: activations and their gradients are stored as 16-bit floats, two to a word, and everything
//! else in 32 bits (Micikevicius et al., "Mixed precision training", 2018).
//!
//! The factors of products are 16-bit floats. For weights, [`ParameterCopyF16`] makes a copy at the beginning of a
//! step. Sums are accumulated in 32 bits. So all shaders, including those with matrix units, compute the same, and the
//! reference of an op is the reference in 32 bits between a widening and a rounding.
//!
//! The gradient of a mean over the batch is small, and 16-bit floats end at 6e-8. So the gradients of activations are
//! those of the batch's summed loss times [`LOSS_SCALE`]. The ops that write the gradients of parameters, in 32 bits,
//! divide by the scale and by the batch size.

use std::sync::Arc;

use super::batch::BatchGather;
use crate::op::{Cost, Op, Operand, Sizes, Variant, shader};
use crate::random::Random;
use crate::tensor::DType::{F16, F32, U32};
use crate::tensor::HostTensor;

/// The scale of the loss, which brings its gradients into the range of 16-bit floats. It is a power of two, so that
/// scaling is exact. Gradients from 2.4e-7 to 255 keep all digits.
pub const LOSS_SCALE: f64 = 256.0;

/// An op that also exists in half precision.
pub trait InHalf: Op + Copy {
    /// The name of the op in half precision.
    const NAME: &'static str;

    /// The operands that are 16-bit floats.
    const HALVES: &'static [&'static str];

    /// The operands that it scales.
    const SCALED: &'static [&'static str] = &[];

    /// The factor of the scaled operands, compared with the op in 32 bits.
    fn scale(&self) -> f64 {
        1.0
    }

    /// Its shaders, as [`Op::variants`].
    fn half_variants(&self) -> Vec<Variant>;
}

/// An op in half precision. Its 16-bit outputs have an even number of neighbouring elements, because it writes whole
/// words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Half<O>(pub O);

impl<O: InHalf + 'static> Half<O> {
    /// The op in half precision, as [`Op::in_half`] says it: none where it would write half a word.
    pub(super) fn of(op: O) -> Option<Arc<dyn Op>> {
        let is_even = |operand: &Operand| operand.shape.extents().last().is_some_and(|last| last.is_multiple_of(2));
        let halves = |operand: &Operand| O::HALVES.contains(&operand.name) && operand.is_written();
        op.operands().iter().filter(|operand| halves(operand)).all(is_even).then(|| Arc::new(Self(op)) as _)
    }
}

impl<O: InHalf + 'static> Op for Half<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        let scale = (!O::SCALED.is_empty()).then_some(("loss_scale", LOSS_SCALE));
        self.0.sizes().into_iter().chain(scale).collect()
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        self.0.with_sizes(sizes)?.in_half()
    }

    fn operands(&self) -> Vec<Operand> {
        let in_half = |operand: Operand| {
            if !O::HALVES.contains(&operand.name) {
                return operand;
            }
            let neighbours = operand.shape.extents().last().copied().unwrap_or_default();
            assert!(
                neighbours.is_multiple_of(2) || !operand.is_written(),
                "{self:?} writes half a word of {operand:?}"
            );
            Operand { dtype: F16, ..operand }
        };
        self.0.operands().into_iter().map(in_half).collect()
    }

    fn variants(&self) -> Vec<Variant> {
        self.0.half_variants()
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let operands = self.operands();
        let widened = |(operand, tensor): (&Operand, &HostTensor)| match operand.dtype {
            F16 => HostTensor::from_f32(operand.shape.clone(), &tensor.widened()),
            F32 | U32 => tensor.clone(),
        };
        let mut full: Vec<HostTensor> = operands.iter().zip(&*tensors).map(widened).collect();
        self.0.reference(&mut full);
        let written = operands.iter().zip(full).zip(tensors).filter(|((operand, _), _)| operand.is_written());
        for ((operand, mut result), tensor) in written {
            if O::SCALED.contains(&operand.name) {
                let scale = self.0.scale();
                result.f32_mut().iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
            }
            *tensor = if operand.dtype == F16 { rounded(&result) } else { result };
        }
    }

    fn flops(&self) -> u64 {
        self.0.flops()
    }

    fn cost(&self) -> Cost {
        let Cost { flops, bytes } = self.0.cost();
        // 16-bit operands have half the words, which saves half of their traffic.
        let is_half = |operand: &Operand| operand.dtype == F16 && !self.leaves_unread(operand.name);
        let halves = self.operands().into_iter().filter(is_half);
        Cost { flops, bytes: bytes - halves.map(|operand| operand.traffic_bytes()).sum::<u64>() }
    }

    /// Sums are added in 32 bits; see [`F16_TOLERANCE`](crate::op::F16_TOLERANCE) for what is written in 16.
    fn tolerance(&self) -> f64 {
        self.0.tolerance()
    }

    fn absolute_tolerance(&self, output: &str) -> f64 {
        let scale = if O::SCALED.contains(&output) { self.0.scale() } else { 1.0 };
        scale * self.0.absolute_tolerance(output)
    }

    fn leaves_unread(&self, operand: &str) -> bool {
        self.0.leaves_unread(operand)
    }

    fn has_near_ties(&self) -> bool {
        self.0.has_near_ties()
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let in_half = |(operand, tensor): (Operand, HostTensor)| match operand.dtype {
            F16 => rounded(&tensor),
            F32 | U32 => tensor,
        };
        self.operands().into_iter().zip(self.0.test_inputs(random)).map(in_half).collect()
    }
}

/// The floats of a tensor as 16-bit floats.
fn rounded(tensor: &HostTensor) -> HostTensor {
    HostTensor::from_f32_as_f16(tensor.shape.clone(), tensor.f32())
}

/// `parameter` to `copy`, the nearest 16-bit floats, two to a word.
///
/// Subnormal numbers become 0. Words are compared exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParameterCopyF16 {
    /// Elements, an even number.
    pub length: usize,
}

impl ParameterCopyF16 {
    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        [2, 126, 4098, 64 * 64 * 2 + 2].map(|length| Self { length }).into()
    }
}

impl Op for ParameterCopyF16 {
    fn name(&self) -> &'static str {
        "parameter_copy_f16"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("length", self.length as f64)]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        let length = sizes.size("length")?;
        length.is_multiple_of(2).then(|| Arc::new(Self { length }) as _)
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read("parameter", F32, [self.length]), Operand::write("copy", U32, [self.length / 2])]
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("parameter_copy_f16": "shared/linear", "parameter_copy_f16");
        vec![Variant::linear(shader, self.length / 2, 0)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [parameter, copy] = tensors else { unreachable!("two operands") };
        let has_all_digits = |value: f32| value.abs() >= half::f16::MIN_POSITIVE.to_f32();
        let kept = parameter.f32().iter().map(|&value| if has_all_digits(value) { value } else { 0.0 });
        let kept: Vec<f32> = kept.collect();
        *copy = HostTensor::from_u32(copy.shape.clone(), HostTensor::from_f32_as_f16([self.length], &kept).words());
    }

    fn flops(&self) -> u64 {
        0
    }

    fn tolerance(&self) -> f64 {
        0.0
    }

    /// Numbers of all sizes. A third of them lies in the middle between two 16-bit floats, where the last bit decides.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let number = |_| {
            let (exponent, kind) = (127 - 16 + random.below(30), random.below(3));
            let mantissa = match kind {
                0 => random.bits() & 0x007f_e000 | 0x1000,
                1 => random.bits() & 0x007f_e000,
                _ => random.bits() & 0x007f_ffff,
            };
            f32::from_bits(random.bits() & 0x8000_0000 | exponent << 23 | mantissa)
        };
        let mut values: Vec<f32> = (0..self.length).map(number).collect();
        values[0] = half::f16::MIN_POSITIVE.to_f32();
        vec![HostTensor::from_f32([self.length], &values), HostTensor::zeros(U32, [self.length / 2].into())]
    }
}

impl InHalf for BatchGather {
    const NAME: &'static str = "batch_gather_f16";
    const HALVES: &'static [&'static str] = &["output"];

    fn half_variants(&self) -> Vec<Variant> {
        let plain =
            shader!("batch_gather_f16": "shared/linear", "shared/floats_f16", "shared/batch_gather", "batch_gather");
        vec![Variant::linear(plain, self.batch * self.pixels / 2, 0)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::dense::{Dense, DenseForward};
    use super::super::sum::SumBackward;
    use super::*;

    #[test]
    fn half_the_traffic_of_activations_and_weights_is_saved() {
        let dense = Dense { batch: 4, inputs: 6, outputs: 2 };
        let op = DenseForward { dense, negative_slope: 0.0 };
        let (factors_and_outputs, biases) = (4 * (6 + 2) + 6 * 2, 2);
        assert_eq!(op.cost().bytes, 4 * factors_and_outputs + 4 * biases);
        assert_eq!(Half(op).cost().bytes, 2 * factors_and_outputs + 4 * biases);
    }

    #[test]
    fn what_is_left_unread_is_no_traffic_in_either_precision() {
        let sum = |negative_slope| SumBackward { length: 8, negative_slope };
        assert_eq!([sum(0.0), sum(1.0)].map(|op| op.cost().bytes), [4 * 4 * 8, 3 * 4 * 8]);
        assert_eq!([sum(0.0), sum(1.0)].map(|op| Half(op).cost().bytes), [2 * 4 * 8, 2 * 3 * 8]);
    }
}
