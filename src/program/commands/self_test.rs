//! The self-test of a device before a run trains on it.

use std::fmt;

use anyhow::Result;

use super::thousands;
use crate::data::Dataset;
use crate::device::Device;
use crate::model::Model;
use crate::program::terminal::Spinner;
use crate::train::Trainer;
use crate::verify::{Outcome, check_next_step};
use crate::words::Word;

/// Floating-point operations of a step that the CPU does in some seconds: two cores take 0.2 s for `convnet`'s 0.8 GFLOP.
const MOST_FLOPS: u64 = 20_000_000_000;

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
            "{device} computes wrongly, so nothing is trained: {reason}\nto test all of its kernels:  gpu-digits verify \
             --device {index} --model {model}\nanother device may be right, such as --device cpu; --self-test off trains in \
             spite of it"
        )
    }
}

/// Refuses a GPU that does not compute the next step as the CPU does, with the kernels of the run.
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
    let spinner = Spinner::new("self-test: a step on the device and on the CPU");
    let outcome = check_next_step(device, trainer, dataset).await;
    drop(spinner);
    match outcome {
        Ok(Outcome::Passed { .. }) => {}
        Ok(Outcome::Skipped { reason }) => note!("self-test: ended early, for {reason}"),
        Ok(Outcome::Failed { reason }) => {
            let (device, index, model) = (gpu.info().to_string(), gpu.info().index, model.to_string());
            return Err(ComputesWrongly { device, index, model, reason }.into());
        }
        Err(error) if gpu.failure().is_some() => return Err(error),
        // The CPU may have less memory than the GPU.
        Err(error) => warning!("warning: the self-test of the device is left out: {error:#}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use anyhow::Error;

    use super::*;
    use crate::program::commands::code_of;

    #[test]
    fn a_device_that_computes_wrongly_is_a_failed_check_with_what_to_do() {
        let wrong = ComputesWrongly {
            device: "a GPU".to_owned(),
            index: 3,
            model: "flatten, dense 10".to_owned(),
            reason: "call 2 (dense1)".to_owned(),
        };
        let error = Error::from(wrong).context("run 1");
        assert_eq!((code_of(&error), code_of(&Error::msg("no such file"))), (1, 2));
        let text = format!("{error:#}");
        assert!(text.contains("gpu-digits verify --device 3 --model 'flatten, dense 10'"), "{text}");
        assert!(text.contains("call 2 (dense1)") && text.contains("--self-test off"), "{text}");
    }
}
