//! What a training step takes from the step before.

use std::collections::HashSet;

use super::{Plan, TensorId};
use crate::op::Access;

impl Plan {
    /// The tensors that a training step takes from the step before, in order: parameters, the state of the optimizer,
    /// averages and running statistics. With them and what the host writes, training goes on where it was.
    pub fn carried(&self) -> Vec<TensorId> {
        let whole = |id: TensorId| self.tensor(id).part_of.map_or(id, |(whole, _)| whole);
        let parameters: HashSet<TensorId> = self.host.parameters.iter().map(|own| whole(own.tensor)).collect();
        let (mut touched, mut read_first, mut written) = (HashSet::new(), HashSet::new(), HashSet::new());
        for call in &self.train {
            for (operand, id) in call.op.operands().iter().zip(call.tensors.iter().copied().map(whole)) {
                if touched.insert(id) && operand.access != Access::Write {
                    read_first.insert(id);
                }
                if operand.is_written() {
                    written.insert(id);
                }
            }
        }
        // The host writes the clock before each epoch, and has read the history of those before.
        let is_of_host = |id: &TensorId| [self.host.clock, self.host.history].contains(id);
        let is_carried = |id: &TensorId| {
            !is_of_host(id) && (parameters.contains(id) || (read_first.contains(id) && written.contains(id)))
        };
        (0..self.tensors.len()).map(TensorId).filter(is_carried).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::plan::{Optimizer, PlanConfig, PlanForm, Refinements};

    fn carried(model: &str, optimizer: Optimizer, refinements: Refinements, form: PlanForm) -> Vec<String> {
        let model: Model = model.parse().unwrap();
        let config = PlanConfig { refinements, form, ..PlanConfig::for_mnist(16, Some(optimizer)) };
        let plan = Plan::new(&model, config).unwrap();
        plan.carried().into_iter().map(|id| plan.tensor(id).name.clone()).collect()
    }

    #[test]
    fn parameters_and_the_state_of_the_optimizer_are_carried_and_no_activation_is() {
        let (model, none) = ("conv 4x3, relu, pool 2, dropout 0.2, flatten, dense 10", Refinements::default());
        for form in [PlanForm::PLAIN, PlanForm::FUSED, PlanForm::HALF] {
            let adam = carried(model, Optimizer::adam(0.0, false), none, form);
            assert_eq!(adam, ["parameters", "first_moment", "second_moment"], "{form}");
            let sgd = Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 };
            assert_eq!(carried(model, sgd, none, form), ["parameters", "velocity"], "{form}");
        }
    }

    #[test]
    fn averages_and_running_statistics_are_carried() {
        let refinements = Refinements { average: Some(0.9), clip_norm: Some(1.0), ..Refinements::default() };
        let model = "conv 4x3, norm, relu, pool 2, flatten, dense 10";
        let adam = Optimizer::adam(0.0, false);
        let names = carried(model, adam, refinements, PlanForm::FUSED);
        for wanted in ["parameters", "norm1.running_mean", "norm1.running_var", "average"] {
            assert!(names.iter().any(|name| name == wanted), "{wanted} is not among {names:?}");
        }
        assert!(!names.iter().any(|name| name.contains("grad") || name.contains("output")), "{names:?}");
    }
}
