//! Quick tests whether a device computes rightly: of one second, and of the kernels that a run is about to use.

use std::sync::LazyLock;

use anyhow::Result;

use super::lockstep::{Strictness, compare_step};
use super::{Check, Lockstep, Outcome, Subject, check_lockstep};
use crate::arithmetic::loop_fault;
use crate::data::Dataset;
use crate::device::Device;
use crate::gpu::Gpu;
use crate::plan::Phase;
use crate::train::Trainer;

/// A model whose kernels compile quickly, with each kind of layer that digits need.
const SMALL_MODEL: &str = "conv 8x3, relu, pool 2, flatten, dense 10";

/// Whether a GPU runs as many loop iterations as kernels make, and trains a small model in lockstep with the CPU.
pub async fn self_test(gpu: &Gpu) -> Vec<Check> {
    // A test checks that the model can be planned.
    static LOCKSTEP: LazyLock<Option<Lockstep>> =
        LazyLock::new(|| Subject::new(SMALL_MODEL).ok()?.trained_lockstep().ok());
    let loops = match loop_fault(gpu).await {
        Ok(None) => Outcome::Passed { worst_ratio: 0.0 },
        Ok(Some(reason)) => Outcome::Failed { reason },
        Err(error) => Outcome::Failed { reason: format!("{error:#}") },
    };
    let mut checks = vec![Check { op: "loops", label: "loops".to_owned(), outcome: loops }];
    if let Some(lockstep) = LOCKSTEP.as_ref() {
        checks.push(check_lockstep(gpu, lockstep).await);
    }
    checks
}

/// Whether a trainer's device computes its next step as the CPU does, call by call, with the very kernels that the trainer
/// runs, and whether it runs as many loop iterations as kernels make. The trainer is afterwards as before.
///
/// # Errors
/// If the device fails, or the CPU lacks the memory for the step.
pub async fn check_next_step(device: &Device, trainer: &mut Trainer, dataset: &Dataset) -> Result<Outcome> {
    if let Device::Gpu(gpu) = device
        && let Some(reason) = loop_fault(gpu).await?
    {
        return Ok(Outcome::Failed { reason });
    }
    let (state, on_device, mut on_cpu) = trainer.next_step(dataset).await?;
    let outcome = compare_step(on_device, &mut on_cpu, Phase::Train, Strictness::SelfTest).await;
    trainer.restore(&state)?;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_small_model_has_a_lockstep() {
        assert!(Subject::new(SMALL_MODEL).unwrap().trained_lockstep().is_ok());
    }
}
