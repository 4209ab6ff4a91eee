//! A training step in parts, between which gradients come from elsewhere.

use std::ops::Range;

use super::{Plan, TensorId};

/// Calls of a step that run together, and what is read when they are done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The calls of the phase.
    pub calls: Range<usize>,
    /// The tensors that are read after them.
    pub tensors: Vec<TensorId>,
}

/// A training step whose gradients are added to those of other micro-batches before the update.
#[derive(Clone, Debug)]
pub struct SharedStep {
    /// Forward and backward, in one stage or two: the gradients of the first are on their way while the last is computed.
    /// After the gradients, the last stage has [`Self::statistics`] and the losses and hits of the samples.
    pub stages: Vec<Stage>,
    /// The elements of each stage's gradients, of which a tensor may hold several partial sums each.
    pub elements: Vec<Vec<usize>>,
    /// The calls that update the parameters and end the step.
    pub update: Range<usize>,
    /// The tensors that forward passes carry from step to step: the running statistics of `norm`.
    pub statistics: Vec<TensorId>,
}

impl Plan {
    /// The training step in parts; none of a plan for evaluation only.
    pub fn shared_step(&self) -> Option<SharedStep> {
        let all_gradients = self.find("gradients")?;
        let update = self.train.iter().position(|call| call.tensors.contains(&all_gradients))?;
        let last_writer = |id: TensorId| {
            let writes = |call: &super::Call| {
                let operands = call.op.operands().into_iter().zip(&call.tensors);
                operands.filter(|(operand, _)| operand.is_written()).any(|(_, written)| *written == id)
            };
            self.train[..update].iter().rposition(writes)
        };
        let gradients = self.host.parameters.iter().filter_map(|parameter| parameter.gradient);
        let mut written: Vec<(usize, TensorId)> =
            gradients.filter_map(|gradient| Some((last_writer(gradient)?, gradient))).collect();
        written.sort_by_key(|(call, id)| (*call, id.0));
        let statistics: Vec<TensorId> = self.carried().into_iter().filter(|&id| last_writer(id).is_some()).collect();
        let words =
            |written: &[(usize, TensorId)]| written.iter().map(|(_, id)| self.tensor(*id).words()).sum::<usize>();
        // The first stage ends as soon as half of the gradients are there.
        let enough = (0..written.len()).find(|&last| 2 * words(&written[..=last]) >= words(&written));
        let first_end = enough.map_or(update, |last| written[last].0 + 1);
        let ids = |of: Range<usize>| written.iter().filter(move |(call, _)| of.contains(call)).map(|(_, id)| *id);
        let hit = self.find("hit")?;
        let (first, last) = (0..first_end, first_end..update);
        let rest = statistics.iter().copied().chain([self.host.loss, hit]);
        let stages = if ids(last.clone()).next().is_some() {
            let tensors = ids(last.clone()).chain(rest).collect();
            vec![Stage { tensors: ids(first.clone()).collect(), calls: first }, Stage { calls: last, tensors }]
        } else {
            vec![Stage { calls: 0..update, tensors: ids(0..update).chain(rest).collect() }]
        };
        let elements = |id: &TensorId| {
            let of_model = self.host.parameters.iter().find(|parameter| parameter.gradient == Some(*id));
            of_model.map(|parameter| parameter.shape.len())
        };
        let elements = stages.iter().map(|stage| stage.tensors.iter().map_while(elements).collect()).collect();
        Some(SharedStep { stages, elements, update: update..self.train.len(), statistics })
    }
}

impl SharedStep {
    /// How many statistics a stage hands over after its gradients: all in the last one.
    pub(crate) fn statistics_in(&self, stage: usize) -> usize {
        if stage + 1 == self.stages.len() { self.statistics.len() } else { 0 }
    }

    /// Bytes of the gradients of the first stage, if there are two, and of the last.
    pub fn bytes(&self) -> [u64; 2] {
        let bytes: Vec<u64> = self.elements.iter().map(|of| 4 * of.iter().sum::<usize>() as u64).collect();
        [if bytes.len() > 1 { bytes[0] } else { 0 }, bytes[bytes.len() - 1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::plan::{Optimizer, PlanConfig, PlanForm, Refinements};

    fn plan(model: &str, form: PlanForm, refinements: Refinements) -> Plan {
        let model: Model = model.parse().unwrap();
        let config = PlanConfig { form, refinements, ..PlanConfig::for_mnist(4, Some(Optimizer::adam(0.0, false))) };
        Plan::new(&model, config).unwrap()
    }

    /// Elements of the parameters that are trained.
    fn trained(plan: &Plan) -> u64 {
        let trained = plan.host.parameters.iter().filter(|parameter| parameter.gradient.is_some());
        trained.map(|parameter| parameter.shape.len() as u64).sum()
    }

    #[test]
    fn every_call_and_every_gradient_is_in_one_part() {
        let refinements = Refinements { clip_norm: Some(1.0), average: Some(0.9), ..Refinements::FOR_DIGITS };
        for model in ["convnet", "mlp", "flatten, dense 10", "conv 4x3, norm, relu, pool 2, flatten, dense 10"] {
            for form in [PlanForm::PLAIN, PlanForm::FUSED, PlanForm::HALF] {
                let plan = plan(model, form, refinements);
                let step = plan.shared_step().unwrap();
                assert_eq!(step.bytes().iter().sum::<u64>(), 4 * trained(&plan), "{model} {form}");
                let SharedStep { stages, update, statistics, .. } = step;
                let ends: Vec<usize> = stages.iter().map(|stage| stage.calls.end).collect();
                let starts: Vec<usize> = stages.iter().map(|stage| stage.calls.start).collect();
                assert_eq!((starts[0], update.end), (0, plan.train.len()), "{model} {form}");
                assert_eq!([&starts[1..], &[update.start]].concat(), ends, "{model} {form}");
                let read: Vec<TensorId> = stages.iter().flat_map(|stage| stage.tensors.clone()).collect();
                for gradient in plan.host.parameters.iter().filter_map(|parameter| parameter.gradient) {
                    assert_eq!(read.iter().filter(|id| **id == gradient).count(), 1, "{model} {form}");
                }
                assert_eq!(statistics.len(), if model.contains("norm") { 2 } else { 0 }, "{model} {form}");
            }
        }
    }

    #[test]
    fn the_large_gradients_of_late_layers_are_sent_before_the_small_ones_of_early_layers() {
        let plan = plan("convnet", PlanForm::FUSED, Refinements::FOR_DIGITS);
        let stages = plan.shared_step().unwrap().stages;
        let names = |stage: usize| -> Vec<&str> {
            stages[stage].tensors.iter().map(|id| plan.tensor(*id).name.as_str()).collect()
        };
        assert!(names(0).contains(&"dense1.weight.grad") && !names(0).contains(&"conv1.weight.grad"), "{:?}", names(0));
        assert!(names(1).contains(&"conv1.weight.grad") && names(1).ends_with(&["loss", "hit"]), "{:?}", names(1));
    }

    #[test]
    fn a_plan_for_evaluation_has_no_such_step() {
        let model: Model = "mlp".parse().unwrap();
        assert!(Plan::new(&model, PlanConfig::for_mnist(4, None)).unwrap().shared_step().is_none());
    }
}
