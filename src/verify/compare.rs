//! Compares a kernel's results with the expected ones.

use super::Outcome;
use crate::op::Tolerance;
use crate::tensor::{DType, HostTensor, Shape};

/// Compares a tensor with the expected one: integers exactly, floats within a tolerance.
pub fn compare(name: &str, got: &HostTensor, wanted: &HostTensor, tolerance: Tolerance) -> Outcome {
    compare_near(name, got, wanted, tolerance, &vec![0.0; wanted.shape.len()])
}

/// The same where each float may also be off by its own `movement`.
pub(super) fn compare_near(
    name: &str,
    got: &HostTensor,
    wanted: &HostTensor,
    tolerance: Tolerance,
    movements: &[f64],
) -> Outcome {
    if wanted.dtype == DType::F16 {
        let widened = |tensor: &HostTensor| HostTensor::from_f32(tensor.shape.clone(), &tensor.widened());
        return compare_near(name, &widened(got), &widened(wanted), tolerance, movements);
    }
    let is_float = wanted.dtype == DType::F32;
    let scale = if is_float { root_mean_square(wanted.f32()) } else { 0.0 };
    let ratio = |((&got, &wanted), &movement): ((&u32, &u32), &f64)| {
        if got == wanted {
            0.0
        } else if is_float {
            let (got, wanted) = (f32::from_bits(got), f64::from(f32::from_bits(wanted)));
            error_ratio(got, wanted, tolerance.relative * (wanted.abs() + scale) + tolerance.absolute + movement)
        } else {
            f64::INFINITY
        }
    };
    let ratios = || got.words().iter().zip(wanted.words()).zip(movements).map(ratio);
    let (index, worst_ratio) =
        ratios().enumerate().fold((0, 0.0), |worst, next| if next.1 > worst.1 { next } else { worst });
    if worst_ratio <= 1.0 {
        return Outcome::Passed { worst_ratio };
    }
    let show = |tensor: &HostTensor| {
        if is_float { format!("{:e}", tensor.f32()[index]) } else { tensor.u32()[index].to_string() }
    };
    let wrong = ratios().filter(|&ratio| ratio > 1.0).count();
    Outcome::Failed {
        reason: format!(
            "{name}{:?} is {} but should be {}, error / allowed {worst_ratio:.3}; {wrong} of {} elements are wrong",
            coordinates(&wanted.shape, index),
            show(got),
            show(wanted),
            wanted.shape.len()
        ),
    }
}

/// Compares argmax integers: `slack` in a thousand may differ because of a near tie.
pub(super) fn compare_choices(name: &str, got: &HostTensor, wanted: &HostTensor, slack: f64) -> Outcome {
    let count = wanted.words().len();
    let others = got.words().iter().zip(wanted.words()).filter(|(got, wanted)| got != wanted).count();
    let allowed = (slack * count as f64 / 1000.0).ceil() as usize;
    if others > allowed {
        return Outcome::Failed { reason: format!("{name}: {others} of {count} argmax values differ, {allowed} may") };
    }
    Outcome::Passed { worst_ratio: others as f64 / allowed as f64 }
}

/// The error over the allowed error. A NaN is detected by its bits, because some drivers and compilers fold `x != x`
/// away. It is infinitely wrong, even if the other value is infinite.
fn error_ratio(got: f32, wanted: f64, allowed: f64) -> f64 {
    let is_finite = got.to_bits() & 0x7f80_0000 != 0x7f80_0000;
    let error = (f64::from(got) - wanted).abs();
    match (is_finite && wanted.is_finite(), allowed > 0.0) {
        (false, _) => f64::INFINITY,
        (true, true) => error / allowed,
        // Zeros of either sign are equal.
        (true, false) => {
            if error == 0.0 {
                0.0
            } else {
                f64::INFINITY
            }
        }
    }
}

fn root_mean_square(values: &[f32]) -> f64 {
    let squares: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
    (squares / values.len().max(1) as f64).sqrt()
}

/// The coordinates of an element, outermost first.
fn coordinates(shape: &Shape, mut index: usize) -> Vec<usize> {
    let mut coordinates: Vec<usize> = shape
        .extents()
        .iter()
        .rev()
        .map(|&extent| {
            let coordinate = index % extent;
            index /= extent;
            coordinate
        })
        .collect();
    coordinates.reverse();
    coordinates
}

/// The worse of two outcomes.
pub(super) fn worse(a: Outcome, b: Outcome) -> Outcome {
    match (&a, &b) {
        (Outcome::Passed { worst_ratio: a_ratio }, Outcome::Passed { worst_ratio: b_ratio }) => {
            if b_ratio > a_ratio {
                b
            } else {
                a
            }
        }
        (Outcome::Passed { .. }, _) => b,
        _ => a,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::op::tolerance;
    use crate::ops::Case;
    use crate::ops::cross_entropy::CrossEntropy;
    use crate::ops::dense::{Dense, DenseCrossEntropyForward};
    use crate::ops::half::Half;

    fn ratio(got: f32, wanted: f32, tolerance: f64) -> f64 {
        let tolerance = Tolerance { relative: tolerance, absolute: 0.0 };
        match compare("x", &HostTensor::from_f32([1], &[got]), &HostTensor::from_f32([1], &[wanted]), tolerance) {
            Outcome::Passed { worst_ratio } => worst_ratio,
            _ => f64::INFINITY,
        }
    }

    #[test]
    fn an_error_is_measured_against_magnitude_and_root_mean_square() {
        assert!((ratio(1.0 + 1e-4, 1.0, 1e-4) - 0.5).abs() < 1e-3);
        assert_eq!(ratio(1.0 + 1e-3, 1.0, 1e-4), f64::INFINITY);
        assert_eq!(ratio(-0.0, 0.0, 0.0), 0.0);
    }

    #[test]
    fn where_all_right_values_are_0_a_logarithm_may_be_off_as_vulkan_allows() {
        let dense = Dense { batch: 1, inputs: 1, outputs: 1 };
        let label_smoothing = 0.0;
        let op = DenseCrossEntropyForward { dense, label_smoothing };
        let whole = Arc::new(op) as Case;
        let half = Arc::new(Half(DenseCrossEntropyForward { dense: Dense { outputs: 2, ..dense }, ..op })) as Case;
        let plain = Arc::new(CrossEntropy { batch: 1, classes: 1, label_smoothing }) as Case;
        for case in [whole, half, plain] {
            let operand = |name: &str| case.operands().into_iter().find(|operand| operand.name == name);
            let outcome = |name: &str, off: f32| {
                let [got, wanted] = [off, 0.0].map(|value| HostTensor::from_f32([1], &[value]));
                compare(name, &got, &wanted, tolerance(case.as_ref(), &operand(name).unwrap()))
            };
            let passes = |name: &str, off: f32| matches!(outcome(name, off), Outcome::Passed { .. });
            assert!(passes("loss", 2f32.powi(-21)) && passes("loss", -2f32.powi(-21)), "{}", case.label());
            assert!(!passes("loss", 1e-5) && !passes("loss", f32::NAN), "{}", case.label());
            assert!(passes("logits_grad", -2.5 * f32::EPSILON) && !passes("logits_grad", 1.0), "{}", case.label());
        }
    }

    #[test]
    fn nan_infinity_and_poison_never_pass() {
        for wrong in [f32::NAN, f32::INFINITY, f32::from_bits(crate::gpu::POISON)] {
            assert_eq!(ratio(wrong, 1.0, 1e9), f64::INFINITY);
        }
        assert_eq!(ratio(1.0, f32::NAN, 1e9), f64::INFINITY);
    }

    #[test]
    fn a_failure_names_the_element() {
        let wanted = HostTensor::from_u32([2, 3], &[1, 2, 3, 4, 5, 6]);
        let got = HostTensor::from_u32([2, 3], &[1, 2, 3, 4, 5, 7]);
        let Outcome::Failed { reason } = compare("argmax", &got, &wanted, Tolerance { relative: 1.0, absolute: 1.0 })
        else {
            panic!("must fail")
        };
        assert!(reason.contains("argmax[1, 2] is 7 but should be 6"), "{reason}");
        assert!(reason.contains("1 of 6"), "{reason}");
    }
}
