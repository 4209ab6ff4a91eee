//! A test for each case, variant and adapter: the kernel against the reference.

mod common;

use std::sync::{Arc, OnceLock};

use common::{adapter_name, gpus, turn, without_adapter};
use gpu_digits::gpu::Gpu;
use gpu_digits::layers::every_op;
use gpu_digits::op::{Variant, variant_label};
use gpu_digits::ops::Case;
use gpu_digits::verify::{Example, Outcome, Subject, cases, check_lockstep, check_variant};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let gpus = gpus();
    let mut trials = Vec::new();
    for case in every_op().flat_map(|entry| cases(entry.name)) {
        // Made by the first test that needs it, for all variants and adapters.
        let example = Arc::new(OnceLock::new());
        for variant in case.variants() {
            let label = variant_label(case.as_ref(), &variant);
            if gpus.is_empty() {
                trials.push(without_adapter(&label));
            }
            for gpu in &gpus {
                trials.push(kernel_trial(gpu, &case, &variant, &example));
            }
        }
    }
    for lockstep in
        Subject::shipped().iter().flat_map(|subject| subject.locksteps().expect("a shipped model is planned"))
    {
        if gpus.is_empty() {
            trials.push(without_adapter(&lockstep.label));
        }
        for gpu in &gpus {
            let (gpu, lockstep) = (gpu.clone(), lockstep.clone());
            let name = format!("{} [{}]", lockstep.label, adapter_name(&gpu));
            trials.push(Trial::test(name, move || {
                let _turn = turn(&gpu);
                verdict(pollster::block_on(check_lockstep(&gpu, &lockstep)).outcome)
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn kernel_trial(gpu: &Gpu, case: &Case, variant: &Variant, example: &Arc<OnceLock<Example>>) -> Trial {
    let name = format!("{} [{}]", variant_label(case.as_ref(), variant), adapter_name(gpu));
    if let Some(reason) = gpu.why_not(case.as_ref(), variant) {
        return Trial::test(name, || Ok(())).with_kind(reason).with_ignored_flag(true);
    }
    let (gpu, case, variant, example) = (gpu.clone(), case.clone(), variant.clone(), Arc::clone(example));
    Trial::test(name, move || {
        let example = example.get_or_init(|| Example::of(&case));
        let _turn = turn(&gpu);
        verdict(pollster::block_on(check_variant(&gpu, &case, &variant, example)))
    })
}

fn verdict(outcome: Outcome) -> Result<(), Failed> {
    match outcome {
        Outcome::Passed { .. } => Ok(()),
        Outcome::Failed { reason } | Outcome::Skipped { reason } => Err(Failed::from(reason)),
    }
}
