//! Whole steps of a model on the GPU and the CPU in lockstep: each call gets the same operands on both, and each
//! written tensor is compared, so that the first wrong call is named.

use anyhow::{Result, ensure};

use super::compare::{compare, compare_choices, compare_near, worse};
use super::conditioning::movements;
use super::subject::{IMAGES, LARGE_WEIGHTS, Lockstep};
use super::{Check, Outcome};
use crate::cpu::CpuExecutor;
use crate::executor::Executor;
use crate::finite::{LARGEST, bound, ensure_finite};
use crate::gpu::{Gpu, GpuExecutor};
use crate::model::Model;
use crate::op::{Op, Tolerance, tolerance};
use crate::plan::{Phase, Precision, TensorId};
use crate::random::Random;
use crate::schedule::Schedule;
use crate::tensor::{DType, HostTensor, pack_bytes};

/// Training steps of a lockstep.
const STEPS: usize = 2;

/// How a step is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    /// With the tolerances of the ops, which the numbers of `verify` keep to.
    Verify,
    /// With the numbers of a run, whose sums may cancel, so that tolerances are wider. Where the numbers of the CPU leave the
    /// floats, the comparison ends: that is not the device's fault.
    SelfTest,
}

impl Strictness {
    /// The factor on all tolerances.
    fn slack(self) -> f64 {
        match self {
            Self::Verify => 1.0,
            // Measured of right devices, over models, seeds and steps: up to 2. What devices do wrongly is mostly far
            // above 1,000.
            Self::SelfTest => 64.0,
        }
    }
}

/// Trains a model, or evaluates it with large weights, on the GPU and the CPU in lockstep.
pub async fn check_lockstep(gpu: &Gpu, lockstep: &Lockstep) -> Check {
    let outcome = match lockstep.op {
        LARGE_WEIGHTS => large_weights(gpu, lockstep).await,
        _ => run(gpu, lockstep, &lockstep.model.initial_parameters(0), Phase::Train, STEPS).await,
    };
    let outcome = outcome.unwrap_or_else(|error| Outcome::Failed { reason: format!("{error:#}") });
    Check { op: lockstep.op, label: lockstep.label.clone(), outcome }
}

/// Evaluates a model whose activations are close to the allowed limit; devices must agree on it. Larger weights must be
/// refused, because devices would disagree.
async fn large_weights(gpu: &Gpu, lockstep: &Lockstep) -> Result<Outcome> {
    let model = &lockstep.model;
    let parameters = large_parameters(model);
    let images = vec![255; model.task().image().bytes()];
    ensure_finite(model, &parameters, &images, Precision::F32).await?;
    let refused = ensure_finite(model, &scaled(&parameters, 1e20), &images, Precision::F32).await;
    ensure!(refused.is_err(), "weights with which the model overflows are not refused");
    run(gpu, lockstep, &parameters, Phase::Evaluate, 1).await
}

/// Initial parameters, scaled so that the bound on activations is near the allowed limit.
fn large_parameters(model: &Model) -> Vec<HostTensor> {
    let parameters = model.initial_parameters(0);
    // How fast the bound grows with the factor depends on the layers; the factor's exponent is found by halving.
    let (mut low, mut high) = (-64.0, 64.0_f64);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        let fits = bound(model, &scaled(&parameters, middle.exp2())) <= LARGEST;
        (low, high) = if fits { (middle, high) } else { (low, middle) };
    }
    scaled(&parameters, low.exp2())
}

fn scaled(parameters: &[HostTensor], factor: f64) -> Vec<HostTensor> {
    let scaled = |tensor: &HostTensor| {
        let values: Vec<f32> = tensor.f32().iter().map(|&value| (f64::from(value) * factor) as f32).collect();
        HostTensor::from_f32(tensor.shape.clone(), &values)
    };
    parameters.iter().map(scaled).collect()
}

async fn run(gpu: &Gpu, lockstep: &Lockstep, parameters: &[HostTensor], phase: Phase, steps: usize) -> Result<Outcome> {
    let plan = &lockstep.plan;
    let mut on_gpu = GpuExecutor::new(gpu, plan.clone()).await?;
    let mut on_cpu = CpuExecutor::new(plan.clone())?;
    for (tensor, words) in inputs(lockstep, parameters) {
        on_gpu.write(tensor, &words);
        on_cpu.write(tensor, &words);
    }

    let mut worst = Outcome::Passed { worst_ratio: 0.0 };
    for step in 0..steps {
        match compare_step(&mut on_gpu, &mut on_cpu, phase, Strictness::Verify).await? {
            Outcome::Failed { reason } => return Ok(Outcome::Failed { reason: format!("step {step}, {reason}") }),
            outcome => worst = worse(worst, outcome),
        }
    }
    Ok(worst)
}

/// Runs a step on a device and on the CPU, call by call with the same operands, and compares what each call writes.
pub(super) async fn compare_step(
    on_device: &mut dyn Executor,
    on_cpu: &mut CpuExecutor,
    phase: Phase,
    strictness: Strictness,
) -> Result<Outcome> {
    let mut worst = Outcome::Passed { worst_ratio: 0.0 };
    for index in 0..on_cpu.plan().calls(phase).len() {
        let given = on_cpu.operands(phase, index);
        on_device.run_call(phase, index).await?;
        on_cpu.run_call(phase, index).await?;
        let call = on_cpu.plan().calls(phase)[index].clone();
        let operands = call.op.operands();
        for (place, &id) in call.tensors.iter().enumerate().filter(|&(place, _)| operands[place].is_written()) {
            let (got, wanted) = (on_device.read(id).await?, on_cpu.tensor(id));
            if strictness == Strictness::SelfTest && !is_finite(wanted) {
                let tensor = &on_cpu.plan().tensor(id).name;
                let reason = format!("`{tensor}` of {} is not finite on the CPU", call.layer);
                return Ok(Outcome::Skipped { reason });
            }
            let outcome = compare_result(call.op.as_ref(), place, &given, [&got, wanted], strictness.slack());
            if let Outcome::Failed { reason } = outcome {
                let (layer, kernel) = (&call.layer, on_device.describe_call(phase, index));
                let tensor = &on_cpu.plan().tensor(id).name;
                return Ok(Outcome::Failed {
                    reason: format!("call {index} ({layer}, `{kernel}`), {tensor}: {reason}"),
                });
            }
            worst = worse(worst, outcome);
            // Both continue with the same bits, so that errors do not accumulate from call to call.
            on_cpu.write(id, got.words());
        }
    }
    Ok(worst)
}

fn is_finite(tensor: &HostTensor) -> bool {
    match tensor.dtype {
        DType::U32 => true,
        DType::F32 => tensor.f32().iter().all(|value| value.is_finite()),
        DType::F16 => tensor.widened().iter().all(|value| value.is_finite()),
    }
}

/// Compares what an op has written to the operand at `place`, where the operands were `given`.
fn compare_result(
    op: &dyn Op,
    place: usize,
    given: &[HostTensor],
    [got, wanted]: [&HostTensor; 2],
    slack: f64,
) -> Outcome {
    let operand = &op.operands()[place];
    if operand.dtype == DType::U32 && op.has_near_ties() {
        return compare_choices(operand.name, got, wanted, slack);
    }
    let Tolerance { relative, absolute } = tolerance(op, operand);
    let allowed = Tolerance { relative: slack * relative, absolute: slack * absolute };
    match compare(operand.name, got, wanted, allowed) {
        // Movements take several runs of the reference, and few results need them.
        Outcome::Failed { .. } if operand.dtype != DType::U32 => {
            compare_near(operand.name, got, wanted, allowed, &movements(op, place, given, wanted))
        }
        outcome => outcome,
    }
}

/// Seeded images, labels, weights and a schedule.
fn inputs(lockstep: &Lockstep, parameters: &[HostTensor]) -> Vec<(TensorId, Vec<u32>)> {
    let Lockstep { model, plan, optimizer, .. } = lockstep;
    let mut random = Random::new(0, 1);
    let host = &plan.host;
    let words = plan.tensor(host.images).shape.len();
    let images: Vec<u8> = (0..4 * words).map(|_| random.bits() as u8).collect();
    let classes = model.task().classes() as u32;
    let labels = (0..plan.tensor(host.labels).shape.len()).map(|_| random.below(classes)).collect();
    let mut inputs = vec![(host.images, pack_bytes(&[&images])), (host.labels, labels)];
    let order_length = plan.tensor(host.order).shape.len();
    inputs.push((host.order, (0..order_length as u32).map(|i| i % IMAGES as u32).collect()));
    inputs.push((host.clock, vec![0, 0, 12_345, 0]));
    let steps = plan.tensor(host.schedule).shape.extents()[0];
    inputs.push((host.schedule, Schedule::OneCycle.rows(1e-2, optimizer, steps).words().to_vec()));
    for (parameter, values) in host.parameters.iter().zip(parameters) {
        inputs.push((parameter.tensor, parameter.arranged(values)));
    }
    inputs
}
