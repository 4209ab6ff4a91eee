//! The self-test of a device before a run trains on it.

use std::fmt;

use anyhow::Result;

use super::thousands;
use crate::arithmetic::loop_fault;
use crate::data::Dataset;
use crate::device::Device;
use crate::gpu::Gpu;
use crate::model::Model;
use crate::program::terminal::Spinner;
use crate::train::Trainer;
use crate::verify::{Outcome, check_next_step};
use crate::words::Word;

/// Floating-point operations of a step that the CPU does in some seconds.
const MOST_FLOPS: u64 = 100_000_000_000;

/// The error of a device that computes wrongly.
#[derive(Debug)]
pub(super) struct ComputesWrongly {
    device: String,
    index: usize,
    model: String,
    reason: String,
}

impl std::error::Error for ComputesWrongly {}

impl fmt::Display for ComputesWrongly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, index, model, reason } = self;
        let model = Word::from(model.clone());
        write!(
            f,
            "{device} computes wrongly, so nothing is trained: {reason}\nto see it:  gpu-digits verify --device {index} --model \
             {model}\nanother device may be right, such as --device cpu; --self-test off trains in spite of it"
        )
    }
}

/// Refuses a GPU that does not compute the first step as the CPU does, with the kernels of the run.
///
/// # Errors
/// If it computes wrongly, or the device fails.
pub(super) async fn ensure_computes_rightly(
    device: &Device,
    trainer: &mut Trainer,
    dataset: &Dataset,
    model: &Model,
) -> Result<()> {
    let Device::Gpu(gpu) = device else { return Ok(()) };
    let flops: u64 = trainer.plan().train.iter().map(|call| call.op.flops()).sum();
    if flops > MOST_FLOPS {
        note!(
            "self-test: left out, for a step of {} GFLOP takes the CPU long; `gpu-digits verify --model` tests the kernels",
            thousands((flops / 1_000_000_000) as usize)
        );
        return Ok(());
    }
    let _spinner = Spinner::new("self-test: the first step on the device and on the CPU");
    match fault(gpu, trainer, dataset).await {
        Ok(None) => Ok(()),
        Err(error) if gpu.failure().is_some() => Err(error),
        // The CPU may have less memory than the GPU.
        Err(error) => {
            warning!("warning: the self-test of the device is left out: {error:#}");
            Ok(())
        }
        Ok(Some(reason)) => {
            let (device, index, model) = (gpu.info().to_string(), gpu.info().index, model.to_string());
            Err(ComputesWrongly { device, index, model, reason }.into())
        }
    }
}

async fn fault(gpu: &Gpu, trainer: &mut Trainer, dataset: &Dataset) -> Result<Option<String>> {
    if let Some(reason) = loop_fault(gpu).await? {
        return Ok(Some(reason));
    }
    Ok(match check_next_step(trainer, dataset).await? {
        Outcome::Failed { reason } => Some(reason),
        Outcome::Passed { .. } | Outcome::Skipped { .. } => None,
    })
}
