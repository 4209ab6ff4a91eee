//! How much the results of a call change if its operands do by as little as the op may be wrong.
//!
//! A sum whose terms cancel is all rounding: a bias before a normalisation changes nothing, so its gradient is exactly
//! 0, and Adam takes a whole step in the direction of whatever the rounding leaves. No tolerance of the result allows
//! for that. What is asked of such a result is that operands next to the given ones have it (mixed forward-backward
//! stability: Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 1.5).

use crate::op::{F16_TOLERANCE, Op};
use crate::random::Random;
use crate::tensor::{DType, HostTensor};

/// Pairs of opposite nudges. In each pair, one of the two moves a result that is near a jump to its other side.
const PAIRS: u64 = 4;

/// For each float that an op writes to the operand at `place`, how far it moves from the one `wanted` at most if the
/// floats of the operands `given` are nudged up or down, at random, by the op's tolerance.
pub(super) fn movements(op: &dyn Op, place: usize, given: &[HostTensor], wanted: &HostTensor) -> Vec<f64> {
    let wanted = floats(wanted);
    let mut movements = vec![0.0_f64; wanted.len()];
    for (seed, sign) in (0..PAIRS).flat_map(|seed| [(seed, -1.0), (seed, 1.0)]) {
        let mut random = Random::new(seed, 0);
        let nudge = |tensor| nudged(tensor, sign * op.tolerance(), &mut random);
        let mut operands: Vec<HostTensor> = given.iter().map(nudge).collect();
        op.reference(&mut operands);
        for ((movement, moved), wanted) in movements.iter_mut().zip(floats(&operands[place])).zip(&wanted) {
            *movement = movement.max((f64::from(moved) - f64::from(*wanted)).abs());
        }
    }
    movements
}

/// Each float times `1 + by` or `1 - by`, at random. Halves change by their own rounding, too.
fn nudged(tensor: &HostTensor, by: f64, random: &mut Random) -> HostTensor {
    let mut nudge = |value: f32, by: f64| {
        let by = if random.bits().is_multiple_of(2) { by } else { -by };
        (f64::from(value) * (1.0 + by)) as f32
    };
    match tensor.dtype {
        DType::F32 => {
            let values: Vec<f32> = tensor.f32().iter().map(|&value| nudge(value, by)).collect();
            HostTensor::from_f32(tensor.shape.clone(), &values)
        }
        DType::F16 => {
            let by = by + by.signum() * F16_TOLERANCE;
            let values: Vec<f32> = tensor.widened().iter().map(|&value| nudge(value, by)).collect();
            HostTensor::from_f32_as_f16(tensor.shape.clone(), &values)
        }
        DType::U32 => tensor.clone(),
    }
}

/// The floats of a tensor; none of integers.
fn floats(tensor: &HostTensor) -> Vec<f32> {
    match tensor.dtype {
        DType::F32 => tensor.f32().to_vec(),
        DType::F16 => tensor.widened(),
        DType::U32 => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::optimizer::AdamStep;
    use crate::ops::segments::{Segment, Segments};

    #[test]
    fn where_partial_sums_cancel_a_step_of_adam_may_be_any() {
        let segments = Segments(vec![Segment { length: 2, chunks: 2 }]);
        let op = AdamStep {
            segments: segments.clone(),
            steps: 1,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            decoupled: false,
        };
        let value = |operand: crate::op::Operand| {
            let mut tensor = HostTensor::zeros(operand.dtype, operand.shape.clone());
            let mut fill = |values: &[f32]| tensor.f32_mut()[..values.len()].copy_from_slice(values);
            match operand.name {
                "blocks" => return segments.blocks(),
                // The sums are the rounding of 1 - 1, and 2.
                "grad_partial" => fill(&[1.0, 1.0, f32::EPSILON - 1.0, 1.0]),
                // Rate and corrections of the first step.
                "schedule" => fill(&[0.01, 10.0, 1000.0]),
                "grad_scale" => fill(&[1.0]),
                _ => {}
            }
            tensor
        };
        let given: Vec<HostTensor> = op.operands().into_iter().map(value).collect();
        let mut wanted = given.clone();
        op.reference(&mut wanted);
        let parameter = movements(&op, 0, &given, &wanted[0]);
        assert!(parameter[0] > 0.01, "{parameter:?}");
        assert!(parameter[1] < 1e-6, "{parameter:?}");
    }
}
