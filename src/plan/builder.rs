//! Lowers a model to a plan: layer by layer, forward, backward and update.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Call, HostTensors, Optimizer, Parameter, Phase, Plan, PlanConfig, Precision, TensorId, TensorSpec};
use crate::data::{CLASSES, IMAGE_BYTES};
use crate::model::{Layer, Model, PlacedLayer};
use crate::op::{Op, Operand};
use crate::ops::batch::{BatchGather, ClockAdvance, MetricsAppend};
use crate::ops::conv2d::{Conv2d, Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward};
use crate::ops::cross_entropy::{CrossEntropy, CrossEntropyBackward, CrossEntropyForward};
use crate::ops::dense::{Dense, DenseBackwardInput, DenseBackwardWeight, DenseForward};
use crate::ops::dropout::DropoutApply;
use crate::ops::half::{Half, InHalf};
use crate::ops::max_pool::{MaxPool, MaxPoolBackward, MaxPoolForward};
use crate::ops::optimizer::{AdamUpdate, SCHEDULE_COLUMNS, SgdUpdate};
use crate::ops::reduce::{BiasBackward, ChunkSum};
use crate::ops::relu::{ReluBackward, ReluForward};
use crate::tensor::DType::F32;
use crate::tensor::Shape;

/// Mean of MNIST's training pixels, from 0 to 1.
pub(crate) const PIXEL_MEAN: f64 = 0.1307;
/// Standard deviation of MNIST's training pixels.
pub(crate) const PIXEL_DEVIATION: f64 = 0.3081;

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
    pub(super) fn build(mut self) -> Plan {
        self.forward(Phase::Evaluate);
        self.finish_step();
        let evaluate = self.take_calls();
        if let Some(optimizer) = self.config.optimizer {
            self.forward(Phase::Train);
            self.backward();
            self.update(optimizer);
            self.finish_step();
        }
        let parameter = |(name, shape): (String, Shape)| Parameter {
            tensor: self.by_name[&name],
            gradient: self.by_name.get(&format!("{name}.grad")).copied(),
            shape,
            order: None,
        };
        let parameters = self.model.parameters().into_iter().map(parameter).collect();
        self.into_plan(evaluate, parameters)
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

    /// Appends a call. An operand with a new name becomes a new tensor.
    ///
    /// A tensor may be read in another shape with equally many elements; this implements `flatten`.
    pub(super) fn call(&mut self, op: impl Op + 'static, tensors: &[&str]) {
        let operands = op.operands();
        assert_eq!(operands.len(), tensors.len(), "{op:?} takes other operands than {tensors:?}");
        let ids = operands.iter().zip(tensors).map(|(operand, name)| self.tensor(name, operand)).collect();
        self.calls.push(Call { op: Arc::new(op), tensors: ids, layer: self.layer.clone() });
    }

    /// Appends a call of an op in the precision of the plan.
    pub(super) fn call_in_precision(&mut self, op: impl InHalf + 'static, tensors: &[&str]) {
        match self.config.precision {
            Precision::F32 => self.call(op, tensors),
            Precision::F16 => self.call(Half(op), tensors),
        }
    }

    pub(super) fn tensor(&mut self, name: &str, operand: &Operand) -> TensorId {
        let id = *self.by_name.entry(name.to_owned()).or_insert_with(|| {
            let Operand { dtype, shape, .. } = operand.clone();
            self.tensors.push(TensorSpec { name: name.to_owned(), dtype, shape, part_of: None, initial: None });
            TensorId(self.tensors.len() - 1)
        });
        let spec = &self.tensors[id.0];
        assert!(
            spec.dtype == operand.dtype && spec.shape.len() == operand.shape.len(),
            "`{name}` is a tensor of {:?} {}, operand {operand:?} is not",
            spec.dtype,
            spec.shape
        );
        id
    }

    /// The name of a layer's output, which is the next layer's input. Flatten only reads its input in another shape,
    /// and dropout is the identity in an evaluation.
    fn output(&self, index: usize, phase: Phase) -> String {
        let Some(placed) = index.checked_sub(1).map(|index| &self.model.layers()[index]) else {
            return "batch".to_owned();
        };
        match placed.layer {
            Layer::Flatten => self.output(index - 1, phase),
            Layer::Dropout { .. } if phase == Phase::Evaluate => self.output(index - 1, phase),
            _ => format!("{}.output", placed.name),
        }
    }

    pub(super) fn conv2d(&self, placed: &PlacedLayer) -> Conv2d {
        let Layer::Conv { channels, kernel, same } = placed.layer else { unreachable!("a convolution") };
        Conv2d {
            batch: self.config.batch,
            in_channels: placed.input[0],
            in_height: placed.input[1],
            in_width: placed.input[2],
            out_channels: channels,
            kernel,
            padding: if same { kernel - 1 } else { 0 },
        }
    }

    pub(super) fn dense(&self, placed: &PlacedLayer) -> Dense {
        Dense { batch: self.config.batch, inputs: placed.input[0], outputs: placed.output[0] }
    }

    fn max_pool(&self, placed: &PlacedLayer, size: usize) -> MaxPool {
        let [channels, height, width] = placed.input[..] else { unreachable!("a pool takes a map") };
        MaxPool { planes: self.config.batch * channels, height, width, size }
    }

    pub(super) fn dropout(&self, placed: &PlacedLayer, rate: f64) -> DropoutApply {
        DropoutApply { length: self.length(placed), rate, layer: placed.number }
    }

    fn length(&self, placed: &PlacedLayer) -> usize {
        self.config.batch * placed.input.iter().product::<usize>()
    }

    fn cross_entropy(&self) -> CrossEntropy {
        CrossEntropy { batch: self.config.batch, classes: CLASSES }
    }

    /// The calls since the last call of this function.
    pub(super) fn take_calls(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.calls)
    }

    pub(super) fn gather(&mut self) {
        let PlanConfig { batch, images, batches, .. } = self.config;
        self.layer = "data".to_owned();
        let gather = BatchGather {
            batch,
            pixels: IMAGE_BYTES,
            count: images,
            order_length: batches * batch,
            scale: 1.0 / 255.0 / PIXEL_DEVIATION,
            shift: -PIXEL_MEAN / PIXEL_DEVIATION,
        };
        self.call_in_precision(gather, &["images", "labels", "order", "clock", "batch", "label"]);
    }

    fn forward(&mut self, phase: Phase) {
        self.gather();
        let layers = self.model.layers();
        for (index, placed) in layers.iter().enumerate() {
            self.layer.clone_from(&placed.name);
            let (input, output) = (self.output(index, phase), self.output(index + 1, phase));
            let own = |kind: &str| format!("{}.{kind}", placed.name);
            match placed.layer {
                Layer::Conv { .. } => {
                    let op = Conv2dForward(self.conv2d(placed));
                    self.call(op, &[&input, &own("weight"), &own("bias"), &output]);
                }
                Layer::Dense { .. } => {
                    let op = DenseForward(self.dense(placed));
                    self.call(op, &[&input, &own("weight"), &own("bias"), &output]);
                }
                Layer::Relu => self.call(ReluForward { length: self.length(placed) }, &[&input, &output]),
                Layer::Pool { size } => {
                    self.call(MaxPoolForward(self.max_pool(placed, size)), &[&input, &output, &own("argmax")]);
                }
                Layer::Dropout { rate } if phase == Phase::Train => {
                    self.call(self.dropout(placed, rate), &[&input, "clock", &output]);
                }
                Layer::Dropout { .. } | Layer::Flatten => {}
            }
        }
        self.layer = "loss".to_owned();
        let logits = self.output(layers.len(), phase);
        let op = CrossEntropyForward(self.cross_entropy());
        self.call(op, &[&logits, "label", "probability", "loss", "hit"]);
    }

    fn backward(&mut self) {
        let layers = self.model.layers();
        let grad = |tensor: &str| format!("{tensor}.grad");
        let logits = self.output(layers.len(), Phase::Train);
        self.call(CrossEntropyBackward(self.cross_entropy()), &["probability", "label", &grad(&logits)]);

        // No gradient is needed before the first layer that has weights.
        let first = layers.iter().position(|placed| placed.layer.has_parameters()).unwrap_or(0);
        for (index, placed) in layers.iter().enumerate().skip(first).rev() {
            self.layer.clone_from(&placed.name);
            let (input, output) = (self.output(index, Phase::Train), self.output(index + 1, Phase::Train));
            let (input_grad, output_grad) = (grad(&input), grad(&output));
            let own = |kind: &str| format!("{}.{kind}", placed.name);
            match placed.layer {
                Layer::Conv { .. } => {
                    let conv = self.conv2d(placed);
                    self.summed_over_chunks(
                        Conv2dBackwardWeight(conv),
                        conv.chunks(),
                        &[&input, &output_grad],
                        &own("weight.grad"),
                    );
                    self.bias_backward(placed, &output_grad);
                    if index > first {
                        self.call(Conv2dBackwardInput(conv), &[&output_grad, &own("weight"), &input_grad]);
                    }
                }
                Layer::Dense { .. } => {
                    let dense = self.dense(placed);
                    self.call(DenseBackwardWeight(dense), &[&input, &output_grad, &own("weight.grad")]);
                    self.bias_backward(placed, &output_grad);
                    if index > first {
                        self.call(DenseBackwardInput(dense), &[&output_grad, &own("weight"), &input_grad]);
                    }
                }
                Layer::Relu => {
                    self.call(ReluBackward { length: self.length(placed) }, &[&output, &output_grad, &input_grad]);
                }
                Layer::Pool { size } => {
                    let op = MaxPoolBackward(self.max_pool(placed, size));
                    self.call(op, &[&output_grad, &own("argmax"), &input_grad]);
                }
                Layer::Dropout { rate } => {
                    self.call(self.dropout(placed, rate), &[&output_grad, "clock", &input_grad]);
                }
                Layer::Flatten => {}
            }
        }
    }

    fn bias_backward(&mut self, placed: &PlacedLayer, output_grad: &str) {
        let op = BiasBackward {
            batch: self.config.batch,
            channels: placed.output[0],
            area: placed.output[1..].iter().product(),
        };
        self.summed_over_chunks(op, op.chunks(), &[output_grad], &format!("{}.bias.grad", placed.name));
    }

    /// Calls an op whose last operand is `chunks` partial sums, and adds them up if there are several.
    fn summed_over_chunks(&mut self, op: impl Op + 'static, chunks: usize, inputs: &[&str], sum: &str) {
        if chunks == 1 {
            self.call(op, &[inputs, &[sum]].concat());
            return;
        }
        let partial = format!("{sum}.partial");
        let elements = op.operands().last().map_or(0, |operand| operand.shape.len());
        self.call(op, &[inputs, &[&partial]].concat());
        self.call(ChunkSum { chunks, length: elements / chunks }, &[&partial, sum]);
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
