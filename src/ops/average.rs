//! An exponential moving average of the parameters (Polyak and Juditsky 1992), with which a model is evaluated and
//! saved, as PyTorch's `AveragedModel` with `get_ema_multi_avg_fn`: the first step copies the parameters.
//!
//! ```text
//! average = decay · average + (1 - decay) · parameter
//! ```

use std::sync::Arc;

use rayon::prelude::*;

use super::batch::CLOCK_LENGTH;
use super::fours::{in_fours, plain_and_quad};
use crate::op::{Op, Operand, Sizes, Variant};
use crate::random::Random;
use crate::tensor::DType::{F32, U32};
use crate::tensor::HostTensor;

/// `parameter`, `clock` to `average`, which is updated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AverageUpdate {
    /// Elements.
    pub length: usize,
    /// Fraction of the average that is kept.
    pub decay: f64,
}

impl AverageUpdate {
    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        [(128, 0.9), (64 * 65, 0.999), (4 * 64 * 130 + 4, 0.5), (1, 0.99), (63, 0.0)]
            .map(|(length, decay)| Self { length, decay })
            .into()
    }
}

impl Op for AverageUpdate {
    fn name(&self) -> &'static str {
        "average_update"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        // In f32, 1 - 0.999 would have a relative error of 5e-5.
        vec![("length", self.length as f64), ("decay", self.decay), ("complement", 1.0 - self.decay)]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { length: sizes.size("length")?, ..*self }))
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read("parameter", F32, [self.length]),
            Operand::read("clock", U32, [CLOCK_LENGTH]),
            Operand::update("average", F32, [self.length]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f32 "average_update" "average_update.quad": "average_update");
        in_fours(shaders, self.length, 1, |shader, elements| Variant::linear(shader, self.length / elements, 0))
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [parameter, clock, average] = tensors else { unreachable!("three operands") };
        let kept = if clock.u32()[0] == 0 { 0.0 } else { self.decay };
        let elements = average.f32_mut().par_iter_mut().zip(parameter.f32()).with_min_len(1 << 12);
        elements.for_each(|(average, &parameter)| {
            *average = (kept * f64::from(*average) + (1.0 - kept) * f64::from(parameter)) as f32;
        });
    }

    fn flops(&self) -> u64 {
        3 * self.length as u64
    }

    fn tolerance(&self) -> f64 {
        4.0 * f64::from(f32::EPSILON)
    }

    /// Half of the cases are the first step.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let step = if self.length.is_multiple_of(128) { 0 } else { 1 + random.below(99) };
        let mut values = || (0..self.length).map(|_| random.uniform(-1.0, 1.0)).collect::<Vec<_>>();
        let [parameter, average] = [values(), values()].map(|values| HostTensor::from_f32([self.length], &values));
        vec![parameter, HostTensor::from_u32([CLOCK_LENGTH], &[step, 0, 0, 0]), average]
    }
}
