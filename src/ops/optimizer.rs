//! Optimizers: one step of all parameters, in one dispatch. The partial sums of each gradient are added in order first;
//! [`segments`](super::segments) says how parameters and gradients lie in memory.
//!
//! All gradients are multiplied by `grad_scale`, with which [`clip`](super::clip) limits their norm.
//!
//! A parameter that has left the range of floats is noted in the clock, so that training which diverges ends at its first such step
//! without the host waiting for one. The loss tells less: a rectifier turns a NaN into 0 on most devices.
//!
//! Values that depend only on the step number are a row of the `schedule`, computed on the host in f64: the learning
//! rate and the two bias corrections of Adam, `1 / (1 - βᵗ)`.

use rayon::prelude::*;

use super::batch::CLOCK_LENGTH;
use super::segments::{Segment, Segments};
use crate::op::{AdapterClass, Op, Operand, Variant, shader};
use crate::random::Random;
use crate::tensor::DType::{F32, U32};
use crate::tensor::HostTensor;

/// Columns of the schedule: learning rate, correction of the first moment, correction of the second moment.
pub const SCHEDULE_COLUMNS: usize = 3;

/// For a few correctly rounded operations, and a square root and a division with a small error in WGSL.
const TOLERANCE: f64 = 16.0 * f32::EPSILON as f64;

/// The fewest elements that a thread of the host updates.
const LEAST_OF_A_THREAD: usize = 1 << 12;

/// A parameter of this magnitude, 2^100, is counted as no longer within the floats, as are an infinity and a NaN.
const LARGEST: f32 = f32::from_bits(0x7180_0000);

/// The operands of an optimizer with these moments.
fn operands(segments: &Segments, moments: &[&'static str], steps: usize) -> Vec<Operand> {
    let parameters = segments.parameters();
    let mut operands = vec![Operand::update("parameter", F32, [parameters]), segments.grad_partial()];
    operands.extend(moments.iter().map(|&name| Operand::update(name, F32, [parameters])));
    operands.extend([
        segments.table(),
        Operand::read("schedule", F32, [steps, SCHEDULE_COLUMNS]),
        Operand::update("clock", U32, [CLOCK_LENGTH]),
        Operand::read("grad_scale", F32, [1]),
    ]);
    operands
}

/// Notes in the clock whether a parameter has left the range of floats.
fn note_faults(clock: &mut HostTensor, parameter: &HostTensor, segments: &Segments) {
    let of_segment = |(segment, [start, _]): (&Segment, [usize; 2])| &parameter.f32()[start..][..segment.length];
    let moved = segments.0.iter().zip(segments.starts()).filter(|(segment, _)| segment.chunks > 0);
    let mut values = moved.flat_map(of_segment);
    // A NaN is not below anything.
    if !values.all(|value| value.abs() < LARGEST) {
        clock.u32_mut()[3] = 1;
    }
}

/// Steps of the case in which a parameter, the last one, is at the end of its range. It hides the errors of the others, so it has a
/// case of its own.
const STEPS_OF_FAULT: usize = 5;

/// The parameters of that case.
fn faulty() -> Segments {
    Segments(vec![Segment { length: 70, chunks: 1 }])
}

/// A sequence of seeded tensors for the operands of an optimizer: everything from [-1, 1) but the second moment, which
/// is a mean of squares, and the schedule, which is positive. The step may lie beyond the schedule.
fn test_inputs(op: &dyn Op, segments: &Segments, steps: usize, random: &mut Random) -> Vec<HostTensor> {
    let draw = |operand: Operand| match operand.name {
        "blocks" => segments.blocks(),
        "clock" => HostTensor::from_u32([CLOCK_LENGTH], &[random.below(2 * steps as u32), random.below(9), 0, 0]),
        name => {
            let low = if name == "second_moment" || name == "schedule" { 0.0 } else { -1.0 };
            let values: Vec<f32> = (0..operand.shape.len()).map(|_| random.uniform(low, 1.0)).collect();
            HostTensor::from_f32(operand.shape, &values)
        }
    };
    let mut inputs: Vec<HostTensor> = op.operands().into_iter().map(draw).collect();
    if steps == STEPS_OF_FAULT {
        inputs[0].f32_mut()[segments.0[0].length - 1] = -LARGEST;
    }
    inputs
}

/// This step's row of the schedule; later steps use the last row.
fn schedule_row(schedule: &HostTensor, clock: &HostTensor, steps: usize) -> [f64; SCHEDULE_COLUMNS] {
    let row = SCHEDULE_COLUMNS * (clock.u32()[0] as usize).min(steps - 1);
    std::array::from_fn(|column| f64::from(schedule.f32()[row + column]))
}

/// Stochastic gradient descent with momentum, as PyTorch computes it: `parameter`, `grad_partial`, `velocity`,
/// `blocks`,
/// `schedule`, `clock`, `grad_scale`, the first, third and sixth updated.
///
/// ```text
/// g         = grad_scale · grad + weight_decay · parameter
/// velocity  = momentum · velocity + g
/// parameter = parameter - rate · (g + momentum · velocity if nesterov, else velocity)
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SgdStep {
    /// The parameters.
    pub segments: Segments,
    /// Rows of the schedule.
    pub steps: usize,
    /// Fraction of the velocity that is kept.
    pub momentum: f64,
    /// Whether to look ahead (Nesterov 1983).
    pub nesterov: bool,
    /// Factor of the L2 penalty's gradient.
    pub weight_decay: f64,
}

impl SgdStep {
    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        let numbers = [(1, 0.0, false, 0.0), (7, 0.9, false, 5e-4), (3, 0.9, true, 0.0), (2, 0.8, true, 0.01)];
        let sized = |((steps, momentum, nesterov, weight_decay), segments)| Self {
            segments,
            steps,
            momentum,
            nesterov,
            weight_decay,
        };
        let fault = sized(((STEPS_OF_FAULT, 0.9, false, 0.0), faulty()));
        numbers.into_iter().zip(Segments::awkward()).map(sized).chain([fault]).collect()
    }
}

impl Op for SgdStep {
    fn name(&self) -> &'static str {
        "sgd_step"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        let mut sizes = self.segments.sizes();
        sizes.extend([
            ("steps", self.steps as f64),
            ("momentum", self.momentum),
            ("nesterov", f64::from(u8::from(self.nesterov))),
            ("weight_decay", self.weight_decay),
        ]);
        sizes
    }

    fn operands(&self) -> Vec<Operand> {
        operands(&self.segments, &["velocity"], self.steps)
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("sgd_step":
            "shared/linear", "shared/floats_f32", "shared/single", "shared/segments", "shared/partials", "shared/schedule", "shared/faults",
            "sgd_step");
        vec![Variant::linear(shader, self.segments.parameters(), self.segments.most_chunks())]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [parameter, partial, velocity, _, schedule, clock, scale] = tensors else { unreachable!("seven operands") };
        let scale = f64::from(scale.f32()[0]);
        let [rate, _, _] = schedule_row(schedule, clock, self.steps);
        for (start, grads) in self.segments.sums(partial.f32()) {
            let parameters = parameter.f32_mut()[start..].par_iter_mut();
            let state = parameters.zip(&mut velocity.f32_mut()[start..]);
            state.zip(grads).with_min_len(LEAST_OF_A_THREAD).for_each(|((parameter, velocity), grad)| {
                let grad = scale * grad + self.weight_decay * f64::from(*parameter);
                let moved = self.momentum * f64::from(*velocity) + grad;
                let direction = if self.nesterov { grad + self.momentum * moved } else { moved };
                *velocity = moved as f32;
                *parameter = (f64::from(*parameter) - rate * direction) as f32;
            });
        }
        note_faults(clock, parameter, &self.segments);
    }

    fn flops(&self) -> u64 {
        (self.segments.gradients() + 9 * self.segments.parameters()) as u64
    }

    fn tolerance(&self) -> f64 {
        TOLERANCE + self.segments.tolerance()
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        test_inputs(self, &self.segments, self.steps, random)
    }
}

/// Adam (Kingma & Ba 2015) and, with `decoupled` decay, AdamW (Loshchilov & Hutter 2019), as PyTorch computes them:
/// `parameter`, `grad_partial`, `first_moment`, `second_moment`, `blocks`, `schedule`, `clock`, `grad_scale`, the first, third,
/// fourth and seventh updated.
///
/// ```text
/// g             = grad_scale · grad + weight_decay · parameter        (Adam)
/// parameter     = parameter · (1 - rate · weight_decay)               (AdamW)
/// first_moment  = beta1 · first_moment + (1 - beta1) · g
/// second_moment = beta2 · second_moment + (1 - beta2) · g²
/// parameter     = parameter - rate · (first_moment · c1) / (√(second_moment · c2) + epsilon)
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AdamStep {
    /// The parameters.
    pub segments: Segments,
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

impl AdamStep {
    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        let numbers = [(1, 0.0, false), (7, 0.01, false), (3, 0.0, true), (2, 0.1, true)];
        let sized = |((steps, weight_decay, decoupled), segments)| Self {
            segments,
            steps,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay,
            decoupled,
        };
        let fault = sized(((STEPS_OF_FAULT, 0.0, false), faulty()));
        numbers.into_iter().zip(Segments::awkward()).map(sized).chain([fault]).collect()
    }
}

impl Op for AdamStep {
    fn name(&self) -> &'static str {
        "adam_step"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        let mut sizes = self.segments.sizes();
        sizes.extend([
            ("steps", self.steps as f64),
            ("beta1", self.beta1),
            ("beta2", self.beta2),
            // In f32, 1 - 0.999 would have a relative error of 5e-5.
            ("beta1_complement", 1.0 - self.beta1),
            ("beta2_complement", 1.0 - self.beta2),
            ("epsilon", self.epsilon),
            ("weight_decay", self.weight_decay),
            ("decoupled", f64::from(u8::from(self.decoupled))),
        ]);
        sizes
    }

    fn operands(&self) -> Vec<Operand> {
        operands(&self.segments, &["first_moment", "second_moment"], self.steps)
    }

    /// For software four elements an invocation, which loads more at a time; for GPUs one element, and so more
    /// invocations.
    fn variants(&self) -> Vec<Variant> {
        let (elements, chunks) = (self.segments.parameters(), self.segments.most_chunks());
        let quad = shader!("adam_step.quad":
            "shared/linear", "shared/quad", "shared/segments", "shared/texels", "shared/texels_f32", "shared/schedule",
            "shared/faults", "shared/adam", "adam_step.quad");
        let plain = shader!("adam_step":
            "shared/linear", "shared/floats_f32", "shared/single", "shared/segments", "shared/partials", "shared/schedule", "shared/faults",
            "shared/adam", "adam_step");
        let quad = Variant::linear(quad, elements / 4, chunks);
        let quad = quad.reading_textures(&["grad_partial"]).made_for(AdapterClass::SOFTWARE);
        vec![quad, Variant::linear(plain, elements, chunks)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [parameter, partial, first, second, _, schedule, clock, scale] = tensors else {
            unreachable!("eight operands")
        };
        let scale = f64::from(scale.f32()[0]);
        let [rate, first_correction, second_correction] = schedule_row(schedule, clock, self.steps);
        let (coupled_decay, decoupled_decay) =
            if self.decoupled { (0.0, self.weight_decay) } else { (self.weight_decay, 0.0) };
        for (start, grads) in self.segments.sums(partial.f32()) {
            let parameters = parameter.f32_mut()[start..].par_iter_mut();
            let state = parameters.zip(&mut first.f32_mut()[start..]).zip(&mut second.f32_mut()[start..]);
            state.zip(grads).with_min_len(LEAST_OF_A_THREAD).for_each(|(((parameter, first), second), grad)| {
                let old = f64::from(*parameter);
                let grad = scale * grad + coupled_decay * old;
                let mean = self.beta1 * f64::from(*first) + (1.0 - self.beta1) * grad;
                let square = self.beta2 * f64::from(*second) + (1.0 - self.beta2) * grad * grad;
                let direction = mean * first_correction / ((square * second_correction).sqrt() + self.epsilon);
                (*first, *second) = (mean as f32, square as f32);
                *parameter = (old * (1.0 - rate * decoupled_decay) - rate * direction) as f32;
            });
        }
        note_faults(clock, parameter, &self.segments);
    }

    fn flops(&self) -> u64 {
        (self.segments.gradients() + 17 * self.segments.parameters()) as u64
    }

    fn tolerance(&self) -> f64 {
        TOLERANCE + self.segments.tolerance()
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        test_inputs(self, &self.segments, self.steps, random)
    }
}
