//! A test for each case, variant and adapter: the kernel against the reference.

mod common;

use std::sync::{Arc, OnceLock};

use common::{adapter_name, gpus, turn, without_adapter};
use gpu_digits::Model;
use gpu_digits::gpu::Gpu;
use gpu_digits::layers::every_op;
use gpu_digits::op::{Variant, variant_label};
use gpu_digits::ops::Case;
use gpu_digits::verify::{Example, Outcome, Subject, cases, check_lockstep, check_model, check_variant};
use libtest_mimic::{Arguments, Failed, Trial};

/// Models whose layers no shipped one has. The gradient of a bias before a normalisation is all rounding.
const MODELS: [&str; 2] = [
    "conv 6x3 stride 2, norm, leaky 0.1, avg 2, flatten, dropout 0.2, dense 10",
    "conv 8x3, norm, residual(conv 12x3 same, norm, relu, conv 12x3 same, norm), relu, avg global, flatten, dense 10",
];

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
    let models = MODELS.map(|text| Subject::new(text).expect("a model"));
    for lockstep in Subject::shipped()
        .iter()
        .chain(&models)
        .chain([&frozen()])
        .flat_map(|subject| subject.locksteps().expect("a plan"))
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
    let name = "check_model_verifies_every_op_and_form_of_a_model";
    if gpus.is_empty() {
        trials.push(without_adapter(name));
    }
    for gpu in gpus {
        trials.push(Trial::test(format!("{name} [{}]", adapter_name(&gpu)), move || {
            let _turn = turn(&gpu);
            pollster::block_on(model_is_verified(&gpu))
        }));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A model whose first layers are frozen, and one in the middle that hands gradients on.
fn frozen() -> Subject {
    let text = "conv 6x3, norm, relu, pool 2, conv 8x3, relu, conv 8x3 same, relu, flatten, dense 12, relu, dense 10";
    let model: Model = text.parse().expect("a model");
    let model = model.frozen(&["conv1", "norm1", "conv3", "dense1"].map(str::to_owned)).expect("layers of it");
    Subject::of("frozen", model).expect("a model")
}

async fn model_is_verified(gpu: &Gpu) -> Result<(), Failed> {
    let model: Model = "conv 6x3, relu, pool 2, flatten, dense 10".parse()?;
    let checks = check_model(gpu, &model).await?;
    for wanted in ["conv2d_backward_weight", "conv_relu_pool_forward", "dense_backward_f16", "sgd_step", "adam_step"] {
        if !checks.iter().any(|check| check.op == wanted) {
            return Err(format!("{wanted} is not checked").into());
        }
    }
    let locksteps = checks.iter().filter(|check| check.op == "lockstep").count();
    if locksteps != 3 {
        return Err(format!("{locksteps} locksteps, not one of each of the three forms").into());
    }
    match checks.into_iter().find(|check| matches!(check.outcome, Outcome::Failed { .. })) {
        Some(check) => Err(format!("{}: {:?}", check.label, check.outcome).into()),
        None => Ok(()),
    }
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
