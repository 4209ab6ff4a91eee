//! A plan: the tensors of a model and, for training and for evaluation, the calls of one step in order.
//!
//! Executors run a plan and know nothing of layers. All that a step needs is a named tensor: data set, order, schedule, clock.

mod builder;
pub(crate) mod by_name;
mod carried;
mod check;
mod fuse;
mod half;
mod memory;
mod optimizer;
mod shared;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::augment::Augment;
use crate::model::Model;
use crate::op::{MAX_ITERATIONS, Op};
use crate::ops::Case;
use crate::tensor::{DType, HostTensor, Shape};
use memory::Memory;
pub(crate) use memory::order;
pub use optimizer::Optimizer;
pub use shared::{SharedStep, Stage};

/// The float type of activations and their gradients in memory, see [`half`](crate::ops::half).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats; sums and parameters stay in 32 bits.
    F16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        })
    }
}

/// The form of a plan: how the calls that the layers record are rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanForm {
    /// Whether to fuse calls: fewer and larger ones, for GPUs.
    pub fuse: bool,
    /// The float type of activations and their gradients in memory.
    pub precision: Precision,
}

impl PlanForm {
    /// The calls as the layers record them: for the CPU.
    pub const PLAIN: Self = Self { fuse: false, precision: Precision::F32 };
    /// Fused calls.
    pub const FUSED: Self = Self { fuse: true, precision: Precision::F32 };
    /// Fused calls in half precision.
    pub const HALF: Self = Self { fuse: true, precision: Precision::F16 };
}

impl fmt::Display for PlanForm {
    /// The form as labels of `verify` name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.fuse { "fuse=on" } else { "fuse=off" })?;
        match self.precision {
            Precision::F32 => Ok(()),
            Precision::F16 => f.write_str(",precision=f16"),
        }
    }
}

/// What else a training step does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Refinements {
    /// The part of a label's probability that is spread over all classes, from 0 to below 1 (Szegedy et al.,
    /// "Rethinking the inception architecture", 2016).
    pub label_smoothing: f64,
    /// The largest norm of all gradients together; longer ones are shortened to it. See [`clip`](crate::ops::clip).
    pub clip_norm: Option<f64>,
    /// The fraction that the average of the parameters keeps at each step; models are evaluated and saved with the
    /// average. See [`average`](crate::ops::average).
    pub average: Option<f64>,
    /// How the images of the batch are changed at random.
    pub augment: Augment,
}

impl Refinements {
    /// Those of `gpu-digits train` by default, which suit digits.
    pub const FOR_DIGITS: Self =
        Self { label_smoothing: 0.0, clip_norm: None, average: None, augment: Augment::FOR_DIGITS };
}

/// The parameters of a plan in addition to the model.
#[derive(Clone, Copy, Debug)]
pub struct PlanConfig {
    /// Samples of a batch.
    pub batch: usize,
    /// Images of the data set, all splits together.
    pub images: usize,
    /// The most batches of an epoch or an evaluation.
    pub batches: usize,
    /// Steps of the run: rows of the schedule.
    pub steps: usize,
    /// The optimizer; none in a plan for evaluation only.
    pub optimizer: Option<Optimizer>,
    /// What else a training step does.
    pub refinements: Refinements,
    /// Fused or not, and in which precision.
    pub form: PlanForm,
}

impl PlanConfig {
    /// One epoch over MNIST's 60,000 training and 10,000 test images, as `gpu-digits train` trains it by default.
    pub fn for_mnist(batch: usize, optimizer: Option<Optimizer>) -> Self {
        let images: usize = 70_000;
        let batches = images.div_ceil(batch);
        let (refinements, form) = (Refinements::FOR_DIGITS, PlanForm::FUSED);
        Self { batch, images, batches, steps: batches, optimizer, refinements, form }
    }
}

/// A tensor of a plan, by its index in [`Plan::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TensorId(pub usize);

/// A named tensor.
#[derive(Clone, Debug)]
pub struct TensorSpec {
    /// `conv1.weight`, `conv1.output`, `conv1.weight.grad`, ...
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Extents.
    pub shape: Shape,
    /// The tensor whose memory it shares, and its first word there; none if it has its own memory.
    pub part_of: Option<(TensorId, usize)>,
    /// The initial words; none for zeros.
    pub initial: Option<Arc<[u32]>>,
}

impl TensorSpec {
    /// Bytes in memory.
    pub fn size_bytes(&self) -> u64 {
        4 * self.words() as u64
    }

    /// Its 32-bit words.
    pub fn words(&self) -> usize {
        self.dtype.words(self.shape.len())
    }
}

/// An op applied to tensors.
#[derive(Clone, Debug)]
pub struct Call {
    /// The op.
    pub op: Arc<dyn Op>,
    /// Its operands, in the op's order.
    pub tensors: Vec<TensorId>,
    /// The layer that it belongs to: `conv1`, `loss`, `data`.
    pub layer: String,
}

/// A list of calls of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Forward, backward and update of one batch.
    Train,
    /// Forward and metrics of one batch; leaves the parameters alone.
    Evaluate,
}

/// A parameter of the model in a plan.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// The parameter itself.
    pub tensor: TensorId,
    /// The average of its values over the steps, if there is one: with it the model is evaluated and saved.
    pub average: Option<TensorId>,
    /// Its gradient, as one or several consecutive partial sums; none in a plan for evaluation only, and where it is not
    /// trained.
    pub gradient: Option<TensorId>,
    /// Whether training leaves it as it is.
    pub frozen: bool,
    /// Its shape in the model.
    pub shape: Shape,
    /// The index in the model's order of each element; none if the orders are equal.
    pub order: Option<Arc<[u32]>>,
}

impl Parameter {
    /// The tensor with which the model is evaluated and saved. A frozen parameter is its own average; a device would round it.
    pub fn evaluated(&self) -> TensorId {
        self.average.filter(|_| !self.frozen).unwrap_or(self.tensor)
    }

    /// The words of the tensor for values in the model's order.
    pub fn arranged(&self, values: &HostTensor) -> Vec<u32> {
        let words = values.words();
        self.order.as_ref().map_or_else(|| words.to_vec(), |order| order.iter().map(|&i| words[i as usize]).collect())
    }

    /// The values in the model's order, for the tensor or its gradient; partial sums are added in order.
    pub fn restored(&self, tensor: &HostTensor) -> HostTensor {
        let mut sums = vec![0.0; self.shape.len()];
        for partial in tensor.f32().chunks_exact(sums.len()) {
            sums.iter_mut().zip(partial).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        let mut values = vec![0.0; sums.len()];
        for (index, sum) in sums.into_iter().enumerate() {
            values[self.order.as_ref().map_or(index, |order| order[index] as usize)] = sum as f32;
        }
        HostTensor::from_f32(self.shape.clone(), &values)
    }
}

/// The tensors that the host writes and reads.
#[derive(Clone, Debug)]
pub struct HostTensors {
    /// The data set's images, bytes packed four to a word.
    pub images: TensorId,
    /// The data set's labels, bytes packed four to a word.
    pub labels: TensorId,
    /// Indices of the images of each batch of an epoch.
    pub order: TensorId,
    /// Step, cursor and seed; see [`crate::ops::batch`].
    pub clock: TensorId,
    /// The schedule, a row for each step; see [`crate::ops::optimizer`].
    pub schedule: TensorId,
    /// A row for each batch of an epoch: its sum of losses, its number of hits, and whether the parameters after it are not finite.
    pub history: TensorId,
    /// The probabilities of the last batch.
    pub probability: TensorId,
    /// The cross-entropy of each sample of the last batch.
    pub loss: TensorId,
    /// Weights and biases, in the order of [`Model::parameters`].
    pub parameters: Vec<Parameter>,
}

/// The tensors and calls of a model.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Samples of a batch.
    pub batch: usize,
    /// All tensors.
    pub tensors: Vec<TensorSpec>,
    /// The calls of a training step; empty in a plan for evaluation only.
    pub train: Vec<Call>,
    /// The calls of an evaluation step.
    pub evaluate: Vec<Call>,
    /// The tensors that the host writes and reads.
    pub host: HostTensors,
    /// What was fused in a training step or, in a plan without one, in an evaluation.
    pub fusion: Fusion,
}

/// What was fused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fusion {
    /// Layers that have become one call forward each.
    pub merged: Vec<Vec<String>>,
    /// Which have not, and why, a sentence each.
    pub apart: Vec<String>,
}

impl Plan {
    /// The plan of a model.
    ///
    /// # Errors
    /// If the images cannot be changed so much, a kernel would loop more often than every driver executes (the error
    /// names the layer), if there are no ops for the requested half precision, if a layer's ops do not fit its shapes,
    /// or if a call reads a tensor that nothing writes.
    pub fn new(model: &Model, config: PlanConfig) -> Result<Self> {
        check::ensure_augmentable(model, config.refinements.augment)?;
        let mut evaluate = builder::record(model, &config, Phase::Evaluate);
        let mut train = match config.optimizer {
            Some(_) => builder::record(model, &config, Phase::Train),
            None => vec![],
        };
        check::ensure_read(model, &evaluate)?;
        check::ensure_lengths(model, config.batch, &evaluate)?;
        let mut fusion = Fusion::default();
        if config.form.fuse {
            fusion = fuse::fuse(&mut evaluate, config.form.precision == Precision::F32);
            if !train.is_empty() {
                fusion = fuse::fuse(&mut train, false);
            }
        }
        if config.form.precision == Precision::F16 {
            half::halve(&mut evaluate, model)?;
            half::halve(&mut train, model)?;
        }
        let mut memory = Memory::default();
        let (mut parameters, segments) = memory.place_parameters(model, &train)?;
        if config.form.precision == Precision::F16 {
            let copy = builder::copy(memory.place_copy(model, &segments));
            let phases = [&mut evaluate, &mut train].into_iter().filter(|calls| !calls.is_empty());
            phases.for_each(|calls| calls.insert(0, copy.clone()));
        }
        if let Some(optimizer) = config.optimizer {
            train.extend(builder::update(optimizer, &config, &segments));
            if config.refinements.average.is_some() {
                memory.place_averages(model, &segments, &mut parameters);
                memory::read_averages(&mut evaluate, model);
            }
            train.push(builder::finish(&config));
        }
        evaluate.push(builder::finish(&config));
        let (evaluate, train) = (memory.calls(evaluate)?, memory.calls(train)?);
        let host = memory.host(&config, parameters, &segments);
        let plan = Self { batch: config.batch, tensors: memory.tensors, train, evaluate, host, fusion };
        for call in plan.train.iter().chain(&plan.evaluate) {
            let least = call.op.variants().iter().map(|variant| variant.iterations).min().unwrap_or(0);
            ensure!(
                least <= MAX_ITERATIONS,
                "layer {}: a kernel of `{}` would loop {least} times, more than the {MAX_ITERATIONS} times that \
                 every driver executes; make the layer or the batch smaller",
                call.layer,
                call.op.label()
            );
        }
        check::ensure_written(&plan)?;
        Ok(plan)
    }

    /// The calls of a phase.
    pub fn calls(&self, phase: Phase) -> &[Call] {
        match phase {
            Phase::Train => &self.train,
            Phase::Evaluate => &self.evaluate,
        }
    }

    /// The tensor.
    pub fn tensor(&self, id: TensorId) -> &TensorSpec {
        &self.tensors[id.0]
    }

    /// The tensor with a name.
    pub fn find(&self, name: &str) -> Option<TensorId> {
        self.tensors.iter().position(|tensor| tensor.name == name).map(TensorId)
    }

    /// Bytes of all tensors.
    pub fn size_bytes(&self) -> u64 {
        self.tensors.iter().filter(|tensor| tensor.part_of.is_none()).map(TensorSpec::size_bytes).sum()
    }

    /// Each different op of the plan, in order.
    pub fn cases(&self) -> Vec<Case> {
        let mut seen = HashSet::new();
        let ops = self.train.iter().chain(&self.evaluate).map(|call| &call.op);
        ops.filter(|op| seen.insert(op.label())).cloned().collect()
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.layer, self.op.label())
    }
}
