//! Optimizers: one step of a parameter, given its gradient.
//!
//! Values that depend only on the step number are a row of the `schedule`, computed on the host in f64: the learning
//! rate and the two bias corrections of Adam, `1 / (1 - βᵗ)`.

use rayon::prelude::*;

use super::batch::CLOCK_LENGTH;
use crate::op::{Op, Operand, Variant, shader};
use crate::random::Random;
use crate::tensor::DType::{F32, U32};
use crate::tensor::HostTensor;

/// Columns of the schedule: learning rate, correction of the first moment, correction of the second moment.
pub const SCHEDULE_COLUMNS: usize = 3;

/// For a few correctly rounded operations, and a square root and a division with a small error in WGSL.
const TOLERANCE: f64 = 16.0 * f32::EPSILON as f64;

/// A sequence of seeded tensors for the operands of an optimizer: everything from [-1, 1) but the second moment, which
/// is a mean of squares, and the schedule, which is positive. The step may lie beyond the schedule.
pub(super) fn test_inputs(op: &dyn Op, steps: usize, random: &mut Random) -> Vec<HostTensor> {
    let draw = |operand: Operand| match operand.name {
        "clock" => HostTensor::from_u32([CLOCK_LENGTH], &[random.below(2 * steps as u32), random.below(9), 0]),
        _ if operand.dtype == U32 => HostTensor::zeros(U32, operand.shape),
        name => {
            let low = if name == "second_moment" || name == "schedule" { 0.0 } else { -1.0 };
            let values: Vec<f32> = (0..operand.shape.len()).map(|_| random.uniform(low, 1.0)).collect();
            HostTensor::from_f32(operand.shape, &values)
        }
    };
    op.operands().into_iter().map(draw).collect()
}

/// This step's row of the schedule; later steps use the last row.
fn schedule_row(schedule: &HostTensor, clock: &HostTensor, steps: usize) -> [f64; SCHEDULE_COLUMNS] {
    let row = SCHEDULE_COLUMNS * (clock.u32()[0] as usize).min(steps - 1);
    std::array::from_fn(|column| f64::from(schedule.f32()[row + column]))
}

/// Stochastic gradient descent with momentum, as PyTorch computes it:
/// `parameter`, `grad`, `velocity`, `schedule`, `clock`, the first and third updated.
///
/// ```text
/// g         = grad + weight_decay · parameter
/// velocity  = momentum · velocity + g
/// parameter = parameter - rate · (g + momentum · velocity if nesterov, else velocity)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdUpdate {
    /// Elements of the parameter.
    pub length: usize,
    /// Rows of the schedule.
    pub steps: usize,
    /// Fraction of the velocity that is kept.
    pub momentum: f64,
    /// Whether to look ahead (Nesterov 1983).
    pub nesterov: bool,
    /// Factor of the L2 penalty's gradient.
    pub weight_decay: f64,
}

impl SgdUpdate {
    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        [(1, 1, 0.0, false, 0.0), (65, 7, 0.9, false, 5e-4), (1009, 3, 0.9, true, 0.0), (63, 2, 0.8, true, 0.01)]
            .map(|(length, steps, momentum, nesterov, weight_decay)| Self {
                length,
                steps,
                momentum,
                nesterov,
                weight_decay,
            })
            .into()
    }
}

impl Op for SgdUpdate {
    fn name(&self) -> &'static str {
        "sgd_update"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("length", self.length as f64),
            ("steps", self.steps as f64),
            ("momentum", self.momentum),
            ("nesterov", f64::from(u8::from(self.nesterov))),
            ("weight_decay", self.weight_decay),
        ]
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::update("parameter", F32, [self.length]),
            Operand::read("grad", F32, [self.length]),
            Operand::update("velocity", F32, [self.length]),
            Operand::read("schedule", F32, [self.steps, SCHEDULE_COLUMNS]),
            Operand::read("clock", U32, [CLOCK_LENGTH]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("sgd_update": "shared/linear", "shared/schedule", "shared/sgd", "sgd_update");
        vec![Variant::linear(shader, self.length, 0)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [parameter, grad, velocity, schedule, clock] = tensors else { unreachable!("five operands") };
        let [rate, _, _] = schedule_row(schedule, clock, self.steps);
        let state = parameter.f32_mut().par_iter_mut().zip(velocity.f32_mut());
        state.zip(grad.f32()).with_min_len(1 << 12).for_each(|((parameter, velocity), &grad)| {
            let grad = f64::from(grad) + self.weight_decay * f64::from(*parameter);
            let moved = self.momentum * f64::from(*velocity) + grad;
            let direction = if self.nesterov { grad + self.momentum * moved } else { moved };
            *velocity = moved as f32;
            *parameter = (f64::from(*parameter) - rate * direction) as f32;
        });
    }

    fn flops(&self) -> u64 {
        8 * self.length as u64
    }

    fn tolerance(&self) -> f64 {
        TOLERANCE
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        test_inputs(self, self.steps, random)
    }
}

/// Adam (Kingma & Ba 2015) and, with `decoupled` decay, AdamW (Loshchilov & Hutter 2019), as PyTorch computes them:
/// `parameter`, `grad`, `first_moment`, `second_moment`, `schedule`, `clock`, all but the second and the last two updated.
///
/// ```text
/// g             = grad + weight_decay · parameter                     (Adam)
/// parameter     = parameter · (1 - rate · weight_decay)               (AdamW)
/// first_moment  = beta1 · first_moment + (1 - beta1) · g
/// second_moment = beta2 · second_moment + (1 - beta2) · g²
/// parameter     = parameter - rate · (first_moment · c1) / (√(second_moment · c2) + epsilon)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamUpdate {
    /// Elements of the parameter.
    pub length: usize,
    /// Rows of the schedule.
    pub steps: usize,
    /// Fraction of the first moment that is kept.
    pub beta1: f64,
    /// Fraction of the second moment that is kept.
    pub beta2: f64,
    /// Added to the divisor, to keep the division finite.
    pub epsilon: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Whether the decay shrinks the parameter itself (AdamW) instead of adding to its gradient (Adam).
    pub decoupled: bool,
}

impl AdamUpdate {
    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        [(1, 1, 0.0, false), (65, 7, 0.01, false), (1009, 3, 0.0, true), (63, 2, 0.1, true)]
            .map(|(length, steps, weight_decay, decoupled)| Self {
                length,
                steps,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay,
                decoupled,
            })
            .into()
    }
}

impl Op for AdamUpdate {
    fn name(&self) -> &'static str {
        "adam_update"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("length", self.length as f64),
            ("steps", self.steps as f64),
            ("beta1", self.beta1),
            ("beta2", self.beta2),
            // In f32, 1 - 0.999 would have a relative error of 5e-5.
            ("beta1_complement", 1.0 - self.beta1),
            ("beta2_complement", 1.0 - self.beta2),
            ("epsilon", self.epsilon),
            ("weight_decay", self.weight_decay),
            ("decoupled", f64::from(u8::from(self.decoupled))),
        ]
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::update("parameter", F32, [self.length]),
            Operand::read("grad", F32, [self.length]),
            Operand::update("first_moment", F32, [self.length]),
            Operand::update("second_moment", F32, [self.length]),
            Operand::read("schedule", F32, [self.steps, SCHEDULE_COLUMNS]),
            Operand::read("clock", U32, [CLOCK_LENGTH]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("adam_update": "shared/linear", "shared/floats_f32", "shared/single", "shared/schedule", "shared/adam", "adam_update");
        vec![Variant::linear(shader, self.length, 0)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [parameter, grad, first, second, schedule, clock] = tensors else { unreachable!("six operands") };
        let [rate, first_correction, second_correction] = schedule_row(schedule, clock, self.steps);
        let (coupled_decay, decoupled_decay) =
            if self.decoupled { (0.0, self.weight_decay) } else { (self.weight_decay, 0.0) };
        let state = parameter.f32_mut().par_iter_mut().zip(first.f32_mut()).zip(second.f32_mut());
        state.zip(grad.f32()).with_min_len(1 << 12).for_each(|(((parameter, first), second), &grad)| {
            let old = f64::from(*parameter);
            let grad = f64::from(grad) + coupled_decay * old;
            let mean = self.beta1 * f64::from(*first) + (1.0 - self.beta1) * grad;
            let square = self.beta2 * f64::from(*second) + (1.0 - self.beta2) * grad * grad;
            let direction = mean * first_correction / ((square * second_correction).sqrt() + self.epsilon);
            (*first, *second) = (mean as f32, square as f32);
            *parameter = (old * (1.0 - rate * decoupled_decay) - rate * direction) as f32;
        });
    }

    fn flops(&self) -> u64 {
        16 * self.length as u64
    }

    fn tolerance(&self) -> f64 {
        TOLERANCE
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        test_inputs(self, self.steps, random)
    }
}
