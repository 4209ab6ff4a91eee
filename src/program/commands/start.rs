//! What a run starts from: its model and its weights.

use anyhow::{Context, Result};

use super::train::config;
use crate::data::{Dataset, MNIST, Task};
use crate::model::Model;
use crate::plan::{Plan, PlanConfig, PlanForm, Precision};
use crate::program::cli::TrainArgs;
use crate::program::run_folder::RunRecord;
use crate::tensor::HostTensor;
use crate::train::TrainConfig;
use crate::weights::{self, Transferred};

/// What a run starts from.
pub(super) struct Start {
    pub(super) model: Model,
    pub(super) parameters: Vec<HostTensor>,
    /// Which layers have weights of `--init` and which have new ones, if some have.
    pub(super) remark: Option<String>,
}

/// The model for a task and its initial parameters, which come from `--init` if it is given and no checkpoint has a state.
pub(super) fn initial(args: &TrainArgs, task: Task, has_state: bool) -> Result<Start> {
    let init = args.init.as_ref().filter(|_| !has_state);
    let saved = init.filter(|_| args.model.is_none()).map(|init| weights::load(init)).transpose()?;
    if let (Some(saved), Some(init)) = (&saved, init)
        && saved.model.task().image() != task.image()
    {
        saved.model.task().ensure_takes(&task).with_context(|| format!("cannot go on from {}", init.display()))?;
    }
    // Without another model, the last layer is made for the classes of the data.
    let text = args.model.clone().or_else(|| saved.as_ref().map(|saved| saved.model.text_for(task.classes())));
    let mut remark = None;
    let (model, parameters) = match (text, saved, init) {
        (_, Some(saved), _) if saved.model.task().ensure_takes(&task).is_ok() => (saved.model, saved.parameters),
        (Some(text), _, Some(init)) => {
            let model =
                Model::parse(task, &text, &[]).with_context(|| format!("cannot go on from {}", init.display()))?;
            let Transferred { parameters, taken, drawn, left } = weights::transfer(init, &model, args.seed)?;
            if !drawn.is_empty() {
                let left = if left.is_empty() { String::new() } else { format!("; left out: {}", left.join(", ")) };
                let (init, taken, drawn) = (init.display(), taken.join(", "), drawn.join(", "));
                remark =
                    Some(format!("of {init} are the weights of {taken}; drawn with seed {}: {drawn}{left}", args.seed));
            }
            (model, parameters)
        }
        (text, ..) => {
            let model = Model::parse(task, text.as_deref().unwrap_or("convnet"), &[])?;
            let parameters = model.initial_parameters(args.seed);
            (model, parameters)
        }
    };
    Ok(Start { model: model.frozen(&args.freeze)?, parameters, remark })
}

/// Says so where the images held out may be among those that the model of `--init` was trained on.
pub(super) fn warn_of_seen_images(args: &TrainArgs, dataset: &Dataset, config: &TrainConfig) -> Result<()> {
    let Some(init) = args.init.as_deref().filter(|_| config.validation > 0) else { return Ok(()) };
    let (seed, data) = weights::origin(init)?;
    let is_same_data = data.is_some_and(|data| data.sha256 == dataset.sha256);
    let held_out = if init.is_dir() { RunRecord::load(init)?.map(|record| record.settings.validation) } else { None };
    let is_same_draw = seed == Some(config.seed.to_string()) && held_out.is_none_or(|count| count == config.validation);
    if is_same_data && !is_same_draw {
        warning!(
            "warning: the model of --init was trained on the same data, and other images were held out: validation may be on \
             images that it has seen; give --seed {}{}",
            seed.as_deref().unwrap_or("as it had"),
            held_out.map_or_else(String::new, |count| format!(" --validation {count}"))
        );
    }
    Ok(())
}

/// Refuses what cannot be trained on MNIST, nor on generated digits.
pub(super) fn ensure_digits_can_be_learned(args: &TrainArgs, has_state: bool) -> Result<()> {
    let Start { model, .. } = initial(args, Task::MNIST, has_state)?;
    let config = config(args, MNIST, &Task::MNIST, TrainConfig::MNIST_IMAGES)?;
    let TrainConfig { batch, optimizer, fuse, precision, .. } = config;
    if precision == Precision::F16 {
        let mnist = PlanConfig::for_mnist(batch, Some(optimizer));
        Plan::new(&model, PlanConfig { form: PlanForm { fuse: fuse.unwrap_or(true), precision }, ..mnist })?;
    }
    Ok(())
}
