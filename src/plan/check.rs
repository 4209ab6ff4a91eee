//! Checks of every plan: each tensor must be written before a call reads it.

use anyhow::{Context as _, Result, ensure};

use super::{Call, Phase, Plan, TensorId};
use crate::augment::Augment;
use crate::layers::Recorded;
use crate::model::Model;
use crate::op::{Access, Operand};
use crate::ops::augment::BatchAugment;

/// Refuses a plan if a call reads a tensor that nothing has written, or if a tensor that the host reads is never
/// updated.
///
/// A misspelt name makes a new tensor of zeros. Both executors would read the same zeros, so a comparison would not
/// notice.
pub(super) fn ensure_written(plan: &Plan) -> Result<()> {
    let host = &plan.host;
    let parameters: Vec<TensorId> = host.parameters.iter().map(|parameter| parameter.tensor).collect();
    let trained = host.parameters.iter().filter(|parameter| !parameter.frozen).map(|parameter| parameter.tensor);
    let trained: Vec<TensorId> = trained.collect();
    let averages = host.parameters.iter().filter_map(|parameter| parameter.average);
    let mut given = Written::nothing(plan);
    for &tensor in [host.images, host.labels, host.order, host.clock, host.schedule].iter().chain(&parameters) {
        given.add(tensor);
    }
    averages.for_each(|average| given.add(average));
    for (index, spec) in plan.tensors.iter().enumerate().filter(|(_, spec)| spec.initial.is_some()) {
        debug_assert!(spec.part_of.is_none(), "a part has no initial values of its own");
        given.add(TensorId(index));
    }
    for phase in [Phase::Evaluate, Phase::Train] {
        let calls = plan.calls(phase);
        let mut written = given.clone();
        calls.iter().try_for_each(|call| read_and_write(plan, call, &mut written))?;
        let mut updated = Written::nothing(plan);
        calls.iter().for_each(|call| updated.add_outputs(call));
        let mut finished = Written::nothing(plan);
        calls.last().into_iter().for_each(|call| finished.add_outputs(call));
        for tensor in [host.clock, host.history].into_iter().filter(|_| !calls.is_empty()) {
            let name = &plan.tensor(tensor).name;
            ensure!(finished.has(tensor), "the last call of the phase {phase:?} does not write `{name}`");
        }
        let results = [host.probability, host.loss];
        let trained = if phase == Phase::Train { &trained[..] } else { &[] };
        // A plan for evaluation only has no training step.
        for &tensor in results.iter().chain(trained).filter(|_| !calls.is_empty()) {
            ensure!(updated.has(tensor), "no call of the phase {phase:?} writes `{}`", plan.tensor(tensor).name);
        }
    }
    Ok(())
}

/// Refuses changes of the images beyond what the kernels can compute.
pub(super) fn ensure_augmentable(model: &Model, augment: Augment) -> Result<()> {
    augment.check().context("cannot change the training images so much")?;
    let (image, most) = (model.task().image(), BatchAugment::MOST_SIDE);
    ensure!(
        augment.is_none() || image.height.max(image.width) <= most,
        "images of {image} cannot be augmented: a side has at most {most} pixels; shrink them, or train without it"
    );
    Ok(())
}

/// Refuses a parameter that no call of an evaluation reads: the optimizer would update one that counts for nothing.
pub(super) fn ensure_read(model: &Model, evaluate: &[Recorded]) -> Result<()> {
    for placed in model.layers() {
        for own in &placed.parameters {
            let name = placed.name_of(own);
            ensure!(
                evaluate.iter().any(|call| call.uses(&name)),
                "layer {} (`{}`) has a parameter `{}`, which no op reads",
                placed.name,
                placed.layer,
                own.name
            );
        }
    }
    Ok(())
}

/// Refuses an output of another length than its layer says. A layer that records no call hands its input on.
pub(super) fn ensure_lengths(model: &Model, batch: usize, calls: &[Recorded]) -> Result<()> {
    let written = |name: &str| calls.iter().find_map(|call| call.written(name));
    let mut current = "batch".to_owned();
    for placed in model.layers() {
        let own = format!("{}.output", placed.name);
        current = if written(&own).is_some() { own } else { current };
        let Some(Operand { shape, .. }) = written(&current) else { continue };
        let length = batch * placed.output.iter().product::<usize>();
        ensure!(
            shape.len() == length,
            "layer {} (`{}`) says that `{current}` has {length} elements, but its ops make it {shape}",
            placed.name,
            placed.layer
        );
    }
    Ok(())
}

/// Checks what a call reads and notes what it writes.
///
/// An operand that is updated in place may start as zeros: an optimizer's moments persist from step to step.
fn read_and_write(plan: &Plan, call: &Call, written: &mut Written<'_>) -> Result<()> {
    let operands = call.op.operands();
    for (_, &tensor) in operands.iter().zip(&call.tensors).filter(|(operand, _)| operand.is_written()) {
        ensure!(
            call.tensors.iter().filter(|&&other| other == tensor).count() == 1,
            "layer {}: `{}` writes `{}` and also has it as another operand; give it a tensor of its own",
            call.layer,
            call.op.label(),
            plan.tensor(tensor).name
        );
    }
    for (operand, &tensor) in operands.iter().zip(&call.tensors) {
        ensure!(
            operand.access != Access::Read || call.op.leaves_unread(operand.name) || written.has(tensor),
            "layer {}: `{}` reads `{}` as its {}, but no earlier call writes it; check the name",
            call.layer,
            call.op.label(),
            plan.tensor(tensor).name,
            operand.name
        );
    }
    written.add_outputs(call);
    Ok(())
}

/// The written tensors.
#[derive(Clone)]
struct Written<'a> {
    plan: &'a Plan,
    tensors: Vec<bool>,
}

impl<'a> Written<'a> {
    fn nothing(plan: &'a Plan) -> Self {
        Self { plan, tensors: vec![false; plan.tensors.len()] }
    }

    fn add(&mut self, tensor: TensorId) {
        self.tensors[tensor.0] = true;
    }

    fn add_outputs(&mut self, call: &Call) {
        for (operand, &tensor) in call.op.operands().iter().zip(&call.tensors) {
            if operand.is_written() {
                self.add(tensor);
            }
        }
    }

    /// Whether a tensor is written: itself, the whole that it is a part of, or all of its parts.
    fn has(&self, tensor: TensorId) -> bool {
        let whole = self.plan.tensor(tensor).part_of.map(|(whole, _)| whole);
        let parts = self.plan.tensors.iter().zip(&self.tensors);
        let mut parts = parts.filter(|(spec, _)| spec.part_of.is_some_and(|(whole, _)| whole == tensor)).peekable();
        self.tensors[tensor.0]
            || whole.is_some_and(|whole| self.tensors[whole.0])
            || (parts.peek().is_some() && parts.all(|(_, &written)| written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::plan::{Optimizer, PlanConfig, PlanForm, TensorSpec};

    fn plan(form: PlanForm) -> Plan {
        let model: Model = "conv 4x3, relu, pool 2, flatten, dropout 0.5, dense 8, relu, dense 10".parse().unwrap();
        let config = PlanConfig::for_mnist(4, Some(Optimizer::adam(0.0, false)));
        Plan::new(&model, PlanConfig { form, ..config }).unwrap()
    }

    /// The error of a plan in which an operand of a call has a new name that nothing writes.
    fn error_of_a_slip(plan: &Plan, phase: Phase, call: usize, operand: usize) -> Option<String> {
        let mut plan = plan.clone();
        let slip = TensorId(plan.tensors.len());
        let calls = if phase == Phase::Train { &mut plan.train } else { &mut plan.evaluate };
        let right = std::mem::replace(&mut calls[call].tensors[operand], slip);
        let spec = TensorSpec { name: "lable".to_owned(), part_of: None, initial: None, ..plan.tensor(right).clone() };
        plan.tensors.push(spec);
        ensure_written(&plan).err().map(|error| error.to_string())
    }

    #[test]
    fn a_plan_that_reads_what_nobody_writes_is_refused_whichever_name_is_wrong() {
        for form in [PlanForm::PLAIN, PlanForm::FUSED, PlanForm::HALF] {
            let plan = plan(form);
            for phase in [Phase::Train, Phase::Evaluate] {
                for (index, call) in plan.calls(phase).iter().enumerate() {
                    let operands = call.op.operands();
                    let is_read =
                        |operand: &Operand| operand.access == Access::Read && !call.op.leaves_unread(operand.name);
                    let read = operands.iter().enumerate().filter(|(_, operand)| is_read(operand));
                    for (operand, _) in read {
                        let error = error_of_a_slip(&plan, phase, index, operand).expect("a slip is refused");
                        assert!(error.contains("`lable`") && error.contains(&call.op.label()), "{error}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_plan_that_updates_another_parameter_or_clock_is_refused() {
        let plan = plan(PlanForm::PLAIN);
        let updates = |name| plan.train.iter().position(|call| call.op.name() == name).unwrap();
        let error = error_of_a_slip(&plan, Phase::Train, updates("adam_step"), 0).unwrap();
        assert!(error.contains("no call of the phase Train writes `conv1.weight`"), "{error}");
        let error = error_of_a_slip(&plan, Phase::Train, updates("step_finish"), 2).unwrap();
        assert!(error.contains("the last call of the phase Train does not write `clock`"), "{error}");
    }
}
