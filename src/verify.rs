//! Verification: every case of every op and variant against its CPU reference, and whole training steps in lockstep.

use std::collections::HashSet;
use std::sync::LazyLock;

use anyhow::Result;
use serde::Serialize;

use crate::cpu::CpuExecutor;
use crate::executor::Executor;
use crate::gpu::{Gpu, GpuExecutor, run_variant};
use crate::model::{Model, NAMED_MODELS};
use crate::op::{Variant, tolerance, variant_label};
use crate::ops::{Case, TABLE};
use crate::plan::{Optimizer, Phase, Plan, PlanConfig, Precision, TensorId};
use crate::random::Random;
use crate::schedule::Schedule;
use crate::tensor::{DType, HostTensor, Shape, pack_bytes};

/// The batch at which the default model's training step is checked: the default of `train`.
const TRAINING_BATCH: usize = 128;

/// The batch at which the other models are checked, and all of them in lockstep: a multiple of nothing.
const SMALL_BATCH: usize = 19;

/// Training steps of a lockstep.
const LOCKSTEP_STEPS: usize = 2;

/// Images of the data set that the checks train on.
const IMAGES: usize = 3 * TRAINING_BATCH + 5;

/// How a check ended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// All elements are within the tolerance.
    Passed {
        /// The largest error, divided by the error allowed there.
        worst_ratio: f64,
    },
    /// Some element is not, or the kernel could not be run.
    Failed {
        /// What is wrong.
        reason: String,
    },
    /// The adapter lacks what this variant needs.
    Skipped {
        /// What it lacks.
        reason: String,
    },
}

/// One check on one adapter.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// The op, or `lockstep`.
    pub op: &'static str,
    /// Variant and sizes; `verify` takes the same text back.
    pub label: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Every case of an op: its awkward sizes, and its sizes in the plans of the shipped models.
pub fn cases(op: &str) -> Vec<Case> {
    let Some(entry) = TABLE.iter().find(|entry| entry.name == op) else { return vec![] };
    let mut cases = (entry.awkward_cases)();
    for (_, plan) in SHIPPED_PLANS.iter() {
        cases.extend(plan.cases().into_iter().filter(|case| case.name() == op));
    }
    let mut seen = HashSet::new();
    cases.retain(|case| seen.insert(case.label()));
    cases
}

/// The plans of a model that are checked, by their places in labels: plain, fused, and fused in half precision.
const FORMS: [(&str, bool, Precision); 3] = [
    ("fuse=off", false, Precision::F32),
    ("fuse=on", true, Precision::F32),
    ("fuse=on,precision=f16", true, Precision::F16),
];

/// Plans of each shipped model, in all forms that it has, each with its label; optimizers take turns.
static SHIPPED_PLANS: LazyLock<Vec<(String, Plan)>> = LazyLock::new(|| {
    let mut plans = Vec::new();
    for (i, (name, layers)) in NAMED_MODELS.iter().enumerate() {
        let batch = if i == 0 { TRAINING_BATCH } else { SMALL_BATCH };
        let optimizer = OPTIMIZERS[i % OPTIMIZERS.len()];
        for (form, fuse, precision) in FORMS {
            let plan = layers.parse().and_then(|model| plan(&model, batch, optimizer, fuse, precision));
            // A shipped model that could not be planned would be left out here; a test says which there are.
            plans.extend(plan.ok().map(|plan| (format!("model={name},{form}"), plan)));
        }
    }
    plans
});

const OPTIMIZERS: [Optimizer; 2] = [
    Optimizer::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, decoupled: false },
    Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 },
];

/// The plan of a model over a small data set.
fn plan(model: &Model, batch: usize, optimizer: Optimizer, fuse: bool, precision: Precision) -> Result<Plan> {
    Plan::new(
        model,
        PlanConfig {
            batch,
            images: IMAGES,
            batches: IMAGES.div_ceil(batch),
            steps: 10,
            optimizer: Some(optimizer),
            fuse,
            precision,
        },
    )
}

/// A case with seeded operands, and what they must be afterwards.
pub struct Example {
    inputs: Vec<HostTensor>,
    wanted: Vec<HostTensor>,
}

impl Example {
    /// The operands before.
    pub fn inputs(&self) -> &[HostTensor] {
        &self.inputs
    }

    /// Draws the operands and runs the reference.
    pub fn of(case: &Case) -> Self {
        let inputs = case.test_inputs(&mut Random::new(0, 0));
        let mut wanted = inputs.clone();
        case.reference(&mut wanted);
        Self { inputs, wanted }
    }
}

/// Checks an op at its sizes on several adapters, all variants of each, and hands over each check with the adapter's
/// place in `gpus`.
pub async fn check_case(gpus: &[Gpu], case: &Case, mut report: impl FnMut(usize, Check)) {
    let example = Example::of(case);
    for (place, gpu) in gpus.iter().enumerate() {
        for variant in case.variants() {
            let outcome = check_variant(gpu, case, &variant, &example).await;
            report(place, Check { op: case.name(), label: variant_label(case.as_ref(), &variant), outcome });
        }
    }
}

/// Checks one variant of an op on one adapter.
pub async fn check_variant(gpu: &Gpu, case: &Case, variant: &Variant, example: &Example) -> Outcome {
    if let Some(reason) = gpu.why_not(case.as_ref(), variant) {
        return Outcome::Skipped { reason };
    }
    match run_variant(gpu, case.as_ref(), variant, &example.inputs).await {
        Ok(got) => compare_operands(case, &got, &example.wanted),
        Err(error) => Outcome::Failed { reason: format!("{error:#}") },
    }
}

/// Compares all operands: those that are only read must not have changed.
fn compare_operands(case: &Case, got: &[HostTensor], wanted: &[HostTensor]) -> Outcome {
    let mut worst = Outcome::Passed { worst_ratio: 0.0 };
    for ((operand, got), wanted) in case.operands().iter().zip(got).zip(wanted) {
        worst = worse(worst, compare(operand.name, got, wanted, tolerance(case.as_ref(), operand)));
    }
    worst
}

fn worse(a: Outcome, b: Outcome) -> Outcome {
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

/// Compares a tensor with what it should be: integers by their bits, floats within
/// `tolerance · (|wanted| + rms(wanted))`.
pub fn compare(name: &str, got: &HostTensor, wanted: &HostTensor, tolerance: f64) -> Outcome {
    if wanted.dtype == DType::F16 {
        let widened = |tensor: &HostTensor| HostTensor::from_f32(tensor.shape.clone(), &tensor.widened());
        return compare(name, &widened(got), &widened(wanted), tolerance);
    }
    let is_float = wanted.dtype == DType::F32;
    let scale = if is_float { root_mean_square(wanted.f32()) } else { 0.0 };
    let ratio = |(&got, &wanted): (&u32, &u32)| {
        if got == wanted {
            0.0
        } else if is_float {
            let (got, wanted) = (f32::from_bits(got), f64::from(f32::from_bits(wanted)));
            error_ratio(got, wanted, tolerance * (wanted.abs() + scale))
        } else {
            f64::INFINITY
        }
    };
    let ratios = got.words().iter().zip(wanted.words()).map(ratio).enumerate();
    let (place, worst_ratio) = ratios.fold((0, 0.0), |worst, next| if next.1 > worst.1 { next } else { worst });
    if worst_ratio <= 1.0 {
        return Outcome::Passed { worst_ratio };
    }
    let show = |tensor: &HostTensor| {
        if is_float { format!("{:e}", tensor.f32()[place]) } else { tensor.u32()[place].to_string() }
    };
    let wrong = got.words().iter().zip(wanted.words()).filter(|&pair| ratio(pair) > 1.0).count();
    Outcome::Failed {
        reason: format!(
            "{name}{:?} is {} and should be {}, error / allowed {worst_ratio:.3}; {wrong} of {} elements are wrong",
            coordinates(&wanted.shape, place),
            show(got),
            show(wanted),
            wanted.shape.len()
        ),
    }
}

/// Compares integers that tell which of several floats is the largest: one in a thousand may be another near tie.
fn compare_choices(name: &str, got: &HostTensor, wanted: &HostTensor) -> Outcome {
    let count = wanted.words().len();
    let others = got.words().iter().zip(wanted.words()).filter(|(got, wanted)| got != wanted).count();
    let allowed = count.div_ceil(1000);
    if others > allowed {
        return Outcome::Failed { reason: format!("{name}: {others} of {count} choices differ, {allowed} may") };
    }
    Outcome::Passed { worst_ratio: others as f64 / allowed as f64 }
}

/// The error over the allowed error. A NaN is found by its bits, since some drivers and compilers fold `x != x` away;
/// it is infinitely wrong, also where the other value is infinite.
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
fn coordinates(shape: &Shape, mut place: usize) -> Vec<usize> {
    let mut coordinates: Vec<usize> = shape
        .extents()
        .iter()
        .rev()
        .map(|&extent| {
            let coordinate = place % extent;
            place /= extent;
            coordinate
        })
        .collect();
    coordinates.reverse();
    coordinates
}

/// The labels of the lockstep checks: each shipped model in all forms that it has.
pub fn lockstep_labels() -> Vec<String> {
    SHIPPED_PLANS.iter().map(|(label, _)| format!("lockstep:{label}")).collect()
}

/// Trains a shipped model on the GPU and the CPU in lockstep: each call gets the same operands on both, and each tensor
/// that it writes is compared, so that the first wrong call is named.
pub async fn check_lockstep(gpu: &Gpu, label: &str) -> Check {
    let (name, form) = label.trim_start_matches("lockstep:model=").split_once(',').unwrap_or((label, ""));
    let (_, fuse, precision) = FORMS.into_iter().find(|(known, ..)| *known == form).unwrap_or(FORMS[0]);
    let outcome = lockstep(gpu, name, fuse, precision)
        .await
        .unwrap_or_else(|error| Outcome::Failed { reason: format!("{error:#}") });
    Check { op: "lockstep", label: label.to_owned(), outcome }
}

async fn lockstep(gpu: &Gpu, name: &str, fuse: bool, precision: Precision) -> Result<Outcome> {
    let model: Model = name.parse()?;
    let place = NAMED_MODELS.iter().position(|(known, _)| *known == name).unwrap_or(0);
    let optimizer = OPTIMIZERS[place % OPTIMIZERS.len()];
    let plan = plan(&model, SMALL_BATCH, optimizer, fuse, precision)?;
    let mut on_gpu = GpuExecutor::new(gpu, plan.clone()).await?;
    let mut on_cpu = CpuExecutor::new(plan.clone())?;
    for (tensor, words) in lockstep_inputs(&plan, &model, &optimizer) {
        on_gpu.write(tensor, &words);
        on_cpu.write(tensor, &words);
    }

    let mut worst = Outcome::Passed { worst_ratio: 0.0 };
    for step in 0..LOCKSTEP_STEPS {
        for (index, call) in plan.train.iter().enumerate() {
            on_gpu.run_call(Phase::Train, index).await?;
            on_cpu.run_call(Phase::Train, index).await?;
            for (operand, &id) in
                call.op.operands().iter().zip(&call.tensors).filter(|(operand, _)| operand.is_written())
            {
                let got = on_gpu.read(id).await?;
                let wanted = on_cpu.tensor(id);
                let outcome = if operand.dtype == DType::U32 && call.op.has_near_ties() {
                    compare_choices(operand.name, &got, wanted)
                } else {
                    compare(operand.name, &got, wanted, tolerance(call.op.as_ref(), operand))
                };
                if let Outcome::Failed { reason } = outcome {
                    let call = on_gpu.describe_call(Phase::Train, index);
                    let layer = &plan.train[index].layer;
                    return Ok(Outcome::Failed {
                        reason: format!(
                            "step {step}, call {index} ({layer}, `{call}`), {}: {reason}",
                            plan.tensor(id).name
                        ),
                    });
                }
                worst = worse(worst, outcome);
                // From here both go on with the same bits, so that errors do not add up from call to call.
                on_cpu.write(id, got.words());
            }
        }
    }
    Ok(worst)
}

/// Seeded images, labels, weights and a schedule.
fn lockstep_inputs(plan: &Plan, model: &Model, optimizer: &Optimizer) -> Vec<(TensorId, Vec<u32>)> {
    let mut random = Random::new(0, 1);
    let host = &plan.host;
    let mut bytes = |tensor: TensorId, bound: u32| {
        let bytes: Vec<u8> = (0..4 * plan.tensor(tensor).shape.len()).map(|_| random.below(bound) as u8).collect();
        (tensor, pack_bytes(&bytes))
    };
    let mut inputs = vec![bytes(host.images, 256), bytes(host.labels, 10)];
    let order_length = plan.tensor(host.order).shape.len();
    inputs.push((host.order, (0..order_length as u32).map(|i| i % IMAGES as u32).collect()));
    inputs.push((host.clock, vec![0, 0, 12_345]));
    let steps = plan.tensor(host.schedule).shape.extents()[0];
    inputs.push((host.schedule, Schedule::OneCycle.rows(1e-2, optimizer, steps).words().to_vec()));
    for (parameter, values) in host.parameters.iter().zip(model.initial_parameters(0)) {
        inputs.push((parameter.tensor, parameter.arranged(&values)));
    }
    inputs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(got: f32, wanted: f32, tolerance: f64) -> f64 {
        match compare("x", &HostTensor::from_f32([1], &[got]), &HostTensor::from_f32([1], &[wanted]), tolerance) {
            Outcome::Passed { worst_ratio } => worst_ratio,
            _ => f64::INFINITY,
        }
    }

    #[test]
    fn every_shipped_model_can_be_planned() {
        // All plain and fused, and all but `mlp`, which begins with no convolution, in half precision.
        assert_eq!(SHIPPED_PLANS.len(), 3 * NAMED_MODELS.len() - 1);
    }

    #[test]
    fn an_error_is_measured_against_magnitude_and_root_mean_square() {
        assert!((ratio(1.0 + 1e-4, 1.0, 1e-4) - 0.5).abs() < 1e-3);
        assert_eq!(ratio(1.0 + 1e-3, 1.0, 1e-4), f64::INFINITY);
        assert_eq!(ratio(-0.0, 0.0, 0.0), 0.0);
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
        let Outcome::Failed { reason } = compare("argmax", &got, &wanted, 1.0) else { panic!("must fail") };
        assert!(reason.contains("argmax[1, 2] is 7 and should be 6"), "{reason}");
        assert!(reason.contains("1 of 6"), "{reason}");
    }
}
