//! Lowers a model to a plan: layer by layer, forward, backward and update.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use super::{Call, HostTensors, Optimizer, Parameter, Phase, Plan, PlanConfig, Precision, TensorId, TensorSpec};
use crate::layers::{Recorded, Recorder};
use crate::model::{Model, PlacedLayer};
use crate::op::{Op, Operand};
use crate::ops::batch::{BatchGather, ClockAdvance, MetricsAppend};
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::half::{Half, InHalf};
use crate::ops::optimizer::{AdamUpdate, SCHEDULE_COLUMNS, SgdUpdate};
use crate::tensor::DType::F32;

/// Builds a plan, tensor by tensor and call by call.
pub(super) struct Builder<'a> {
    pub(super) model: &'a Model,
    pub(super) config: PlanConfig,
    pub(super) tensors: Vec<TensorSpec>,
    pub(super) by_name: HashMap<String, TensorId>,
    calls: Vec<Call>,
    pub(super) layer: String,
}

impl<'a> Builder<'a> {
    pub(super) fn new(model: &'a Model, config: PlanConfig) -> Self {
        Self { model, config, tensors: vec![], by_name: HashMap::new(), calls: vec![], layer: String::new() }
    }

    /// The plan of one op for each layer, forward and backward.
    ///
    /// # Errors
    /// If the calls of a layer do not fit its tensors.
    pub(super) fn build(mut self) -> Result<Plan> {
        self.forward(Phase::Evaluate)?;
        // Every parameter has been read now, or the optimizer would update one that counts for nothing.
        self.parameters()?;
        self.finish_step();
        let evaluate = self.take_calls();
        if let Some(optimizer) = self.config.optimizer {
            let names = self.forward(Phase::Train)?;
            self.backward(&names)?;
            self.update(optimizer);
            self.finish_step();
        }
        let parameters = self.parameters()?;
        Ok(self.into_plan(evaluate, parameters))
    }

    /// The plan of these calls and, for training, of the later ones.
    pub(super) fn into_plan(mut self, evaluate: Vec<Call>, parameters: Vec<Parameter>) -> Plan {
        // Every plan has the schedule, even if no optimizer reads it.
        self.tensor("schedule", &Operand::read("schedule", F32, [self.config.steps, SCHEDULE_COLUMNS]));
        let named = |name: &str| self.by_name[name];
        let host = HostTensors {
            images: named("images"),
            labels: named("labels"),
            order: named("order"),
            clock: named("clock"),
            schedule: named("schedule"),
            history: named("history"),
            probability: named("probability"),
            loss: named("loss"),
            parameters,
        };
        let (batch, tensors, train) = (self.config.batch, self.tensors, self.calls);
        Plan { batch, tensors, train, evaluate, host, unfused: None }
    }

    /// Appends a call of the plan's own.
    ///
    /// # Panics
    /// If the tensors do not fit the op.
    pub(super) fn call(&mut self, op: impl Op + 'static, tensors: &[&str]) {
        self.apply(Arc::new(op), tensors).unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Appends a call. An operand with a new name becomes a new tensor.
    ///
    /// A tensor may be read in another shape with equally many elements; this implements `flatten`.
    fn apply(&mut self, op: Arc<dyn Op>, tensors: &[impl AsRef<str>]) -> Result<()> {
        let operands = op.operands();
        ensure!(operands.len() == tensors.len(), "`{}` has {} operands", op.label(), operands.len());
        let ids = operands.iter().zip(tensors).map(|(operand, name)| self.find_or_add(name.as_ref(), operand));
        let tensors = ids.collect::<Result<_>>().with_context(|| format!("`{}`", op.label()))?;
        self.calls.push(Call { op, tensors, layer: self.layer.clone() });
        Ok(())
    }

    /// Appends a call of an op in the precision of the plan.
    pub(super) fn call_in_precision(&mut self, op: impl InHalf + 'static, tensors: &[&str]) {
        match self.config.form.precision {
            Precision::F32 => self.call(op, tensors),
            Precision::F16 => self.call(Half(op), tensors),
        }
    }

    /// The tensor of the plan's own with a name.
    ///
    /// # Panics
    /// If there is one of another type or length.
    pub(super) fn tensor(&mut self, name: &str, operand: &Operand) -> TensorId {
        self.find_or_add(name, operand).unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn find_or_add(&mut self, name: &str, operand: &Operand) -> Result<TensorId> {
        let id = *self.by_name.entry(name.to_owned()).or_insert_with(|| {
            let Operand { dtype, shape, .. } = operand.clone();
            self.tensors.push(TensorSpec { name: name.to_owned(), dtype, shape, part_of: None, initial: None });
            TensorId(self.tensors.len() - 1)
        });
        let spec = &self.tensors[id.0];
        ensure!(
            spec.dtype == operand.dtype && spec.shape.len() == operand.shape.len(),
            "`{name}` is a tensor of {:?} {}, but the operand `{}` is {:?} {}",
            spec.dtype,
            spec.shape,
            operand.name,
            operand.dtype,
            operand.shape
        );
        Ok(id)
    }

    fn cross_entropy(&self) -> CrossEntropy {
        let classes = self.model.task().classes();
        CrossEntropy { batch: self.config.batch, classes, label_smoothing: 0.0 }
    }

    /// The calls since the last call of this function.
    pub(super) fn take_calls(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.calls)
    }

    pub(super) fn gather(&mut self) {
        let PlanConfig { batch, images, batches, .. } = self.config;
        self.layer = "data".to_owned();
        let task = self.model.task();
        let (pixels, [scale, shift]) = (task.image().bytes(), task.scale_and_shift());
        let gather = BatchGather { batch, pixels, count: images, order_length: batches * batch, scale, shift };
        self.call_in_precision(gather, &["images", "labels", "order", "clock", "batch", "label"]);
    }

    /// Records the calls of the layers and of the loss; returns the name of each layer's input, and of the logits.
    fn forward(&mut self, phase: Phase) -> Result<Vec<String>> {
        self.gather();
        let mut names = vec!["batch".to_owned()];
        for (place, placed) in self.model.layers().iter().enumerate() {
            let (input, output) = (names[place].clone(), format!("{}.output", placed.name));
            let mut step = self.recorder(placed, phase, [&input, &output]);
            placed.layer.forward(&mut step);
            let calls = step.calls;
            // A layer without a call, such as flatten, hands its input on.
            let output = if calls.is_empty() { input } else { output };
            self.append(&placed.name, calls)?;
            self.ensure_length(&output, self.config.batch * placed.output.iter().product::<usize>(), placed)?;
            names.push(output);
        }
        self.layer = "loss".to_owned();
        let logits = &names[names.len() - 1];
        let tensors = [logits, "label", "probability", &format!("{logits}.grad"), "loss", "hit"];
        self.call(self.cross_entropy(), &tensors);
        Ok(names)
    }

    fn backward(&mut self, names: &[String]) -> Result<()> {
        let layers = self.model.layers();
        // No gradient is needed before the first layer that has parameters.
        let first = layers.iter().position(|placed| !placed.parameters.is_empty()).unwrap_or(0);
        for (place, placed) in layers.iter().enumerate().skip(first).rev() {
            let mut step = self.recorder(placed, Phase::Train, [&names[place], &names[place + 1]]);
            step.needs_input_grad = place > first;
            placed.layer.backward(&mut step);
            let calls = step.calls;
            self.append(&placed.name, calls)?;
        }
        Ok(())
    }

    fn recorder<'b>(&self, placed: &'b PlacedLayer, phase: Phase, ends: [&'b str; 2]) -> Recorder<'b> {
        Recorder {
            layer: &placed.name,
            number: placed.number,
            batch: self.config.batch,
            shape: &placed.input,
            trains: phase == Phase::Train,
            ends,
            needs_input_grad: true,
            calls: vec![],
        }
    }

    /// Appends the calls of a layer.
    fn append(&mut self, layer: &str, calls: Vec<Recorded>) -> Result<()> {
        layer.clone_into(&mut self.layer);
        for Recorded { op, tensors } in calls {
            self.apply(op, &tensors).with_context(|| format!("layer {layer} cannot be planned"))?;
        }
        Ok(())
    }

    /// Refuses a tensor of another length than the layer says; one that does not exist is found by the check of the plan.
    fn ensure_length(&self, name: &str, length: usize, placed: &PlacedLayer) -> Result<()> {
        let Some(id) = self.by_name.get(name) else { return Ok(()) };
        let shape = &self.tensors[id.0].shape;
        ensure!(
            shape.len() == length,
            "layer {} (`{}`) says that `{name}` has {length} elements, but its ops make it {shape}",
            placed.name,
            placed.layer
        );
        Ok(())
    }

    /// The parameters of a plan of one op for each layer.
    fn parameters(&self) -> Result<Vec<Parameter>> {
        let mut parameters = Vec::new();
        for placed in self.model.layers() {
            for own in &placed.parameters {
                let name = format!("{}.{}", placed.name, own.name);
                self.ensure_length(&name, own.shape.len(), placed)?;
                let tensor = self.by_name.get(&name).with_context(|| {
                    format!(
                        "layer {} (`{}`) has a parameter `{}`, which no op reads",
                        placed.name, placed.layer, own.name
                    )
                })?;
                parameters.push(Parameter {
                    tensor: *tensor,
                    gradient: self.by_name.get(&format!("{name}.grad")).copied(),
                    shape: own.shape.clone(),
                    order: None,
                });
            }
        }
        Ok(parameters)
    }

    fn update(&mut self, optimizer: Optimizer) {
        let steps = self.config.steps;
        for (name, shape) in self.model.parameters() {
            self.layer = name.split('.').next().unwrap_or_default().to_owned();
            let length = shape.len();
            let own = |kind: &str| format!("{name}.{kind}");
            match optimizer {
                Optimizer::Sgd { momentum, nesterov, weight_decay } => self.call(
                    SgdUpdate { length, steps, momentum, nesterov, weight_decay },
                    &[&name, &own("grad"), &own("velocity"), "schedule", "clock"],
                ),
                Optimizer::Adam { beta1, beta2, epsilon, weight_decay, decoupled } => self.call(
                    AdamUpdate { length, steps, beta1, beta2, epsilon, weight_decay, decoupled },
                    &[&name, &own("grad"), &own("first_moment"), &own("second_moment"), "schedule", "clock"],
                ),
            }
        }
    }

    fn finish_step(&mut self) {
        let PlanConfig { batch, batches, .. } = self.config;
        self.layer = "data".to_owned();
        self.call(MetricsAppend { batch, rows: batches }, &["loss", "hit", "clock", "history"]);
        self.call(ClockAdvance, &["clock"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Task;
    use crate::layers::{Dense, Flatten, Initial, Layer, ParameterSpec};
    use crate::ops::relu::{ReluBackward, ReluForward};

    /// A layer that is wrong in one way.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Wrong {
        Length,
        Operand,
        Unread,
        InPlace,
        NoGradient,
        Nothing,
    }

    impl Layer for Wrong {
        fn text(&self) -> String {
            "wrong".to_owned()
        }

        fn output(&self, input: &[usize]) -> Result<Vec<usize>> {
            Ok(if *self == Self::Nothing { vec![input[0] + 1] } else { input.to_vec() })
        }

        fn parameters(&self, _input: &[usize]) -> Vec<ParameterSpec> {
            let unread = ParameterSpec { name: "gain", shape: [3].into(), initial: Initial::Constant(1.0) };
            if *self == Self::Unread { vec![unread] } else { vec![] }
        }

        fn forward(&self, step: &mut Recorder<'_>) {
            let length = step.length();
            match self {
                Self::Length => {
                    step.call_with(ReluForward { length: length - 1, negative_slope: 0.0 }, &[("input", "own")])
                }
                Self::Operand => step.call(ReluForward { length: length + 1, negative_slope: 0.0 }),
                Self::InPlace => step.call_with(ReluForward { length, negative_slope: 0.0 }, &[("input", "output")]),
                Self::Unread | Self::NoGradient => step.call(ReluForward { length, negative_slope: 0.0 }),
                Self::Nothing => {}
            }
        }

        fn backward(&self, step: &mut Recorder<'_>) {
            if *self != Self::NoGradient {
                step.call(ReluBackward { length: step.length(), negative_slope: 0.0 });
            }
        }
    }

    #[test]
    fn layers_whose_calls_do_not_fit_are_refused_with_their_name() {
        for (wrong, wanted) in [
            (
                Wrong::Length,
                "layer wrong1 (`wrong`) says that `wrong1.output` has 32 elements, but its ops make it [31]",
            ),
            (
                Wrong::Operand,
                "layer wrong1 cannot be planned: `relu_forward:length=33`: `dense1.output` is a tensor of F32",
            ),
            (Wrong::Unread, "layer wrong1 (`wrong`) has a parameter `gain`, which no op reads"),
            (
                Wrong::InPlace,
                "layer wrong1: `relu_forward:length=32` writes `wrong1.output` and also has it as another",
            ),
            (Wrong::NoGradient, "reads `dense1.output.grad` as its output_grad, but no earlier call writes it"),
            (Wrong::Nothing, "layer wrong1 (`wrong`) says that `dense1.output` has 36 elements"),
        ] {
            let layers: [Arc<dyn Layer>; 4] =
                [Arc::new(Flatten), Arc::new(Dense { outputs: 8 }), Arc::new(wrong), Arc::new(Dense { outputs: 10 })];
            let model = Model::new(Task::MNIST, layers).unwrap();
            let config = PlanConfig::for_mnist(4, Some(Optimizer::adam(0.0, false)));
            let error = format!("{:#}", Plan::new(&model, config).unwrap_err());
            assert!(error.contains(wanted), "{wrong:?}: {error}");
        }
    }
}
