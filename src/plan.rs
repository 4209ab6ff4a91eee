//! A plan: the tensors of a model and, for training and for evaluation, the calls of one step in order.
//!
//! Executors run a plan; they know nothing of layers. Everything that a step needs is a named tensor, also the data
//! set, the shuffled order, the schedule and the clock.

mod builder;

use std::fmt;
use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::model::Model;
use crate::op::{MAX_ITERATIONS, Op};
use crate::ops::Case;
use crate::tensor::{DType, Shape};
use builder::Builder;

/// An optimizer and its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// See [`SgdUpdate`](crate::ops::optimizer::SgdUpdate).
    Sgd {
        /// Share of the velocity that is kept.
        momentum: f64,
        /// Whether to look ahead.
        nesterov: bool,
        /// Factor of the L2 penalty's gradient.
        weight_decay: f64,
    },
    /// See [`AdamUpdate`](crate::ops::optimizer::AdamUpdate).
    Adam {
        /// Share of the first moment that is kept.
        beta1: f64,
        /// Share of the second moment that is kept.
        beta2: f64,
        /// What keeps the division finite.
        epsilon: f64,
        /// Weight decay.
        weight_decay: f64,
        /// AdamW instead of Adam.
        decoupled: bool,
    },
}

impl Optimizer {
    /// Adam or AdamW with the numbers of the paper.
    pub const fn adam(weight_decay: f64, decoupled: bool) -> Self {
        Self::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay, decoupled }
    }
}

/// What a plan is made for, beside the model.
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
    /// The optimizer; none for a plan that only evaluates.
    pub optimizer: Option<Optimizer>,
}

impl PlanConfig {
    /// One epoch over MNIST's 60,000 training and 10,000 test images.
    pub fn for_mnist(batch: usize, optimizer: Option<Optimizer>) -> Self {
        let images = 70_000;
        Self { batch, images, batches: images.div_ceil(batch), steps: images.div_ceil(batch), optimizer }
    }
}

/// A tensor of a plan, by its place in [`Plan::tensors`].
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
}

impl TensorSpec {
    /// Bytes in memory.
    pub fn size_bytes(&self) -> u64 {
        4 * self.shape.len() as u64
    }
}

/// An op applied to tensors.
#[derive(Clone, Debug)]
pub struct Call {
    /// The op.
    pub op: Arc<dyn Op>,
    /// Its operands, in its order.
    pub tensors: Vec<TensorId>,
    /// The layer that it belongs to: `conv1`, `loss`, `data`.
    pub layer: String,
}

/// Which list of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Forward, backward and update of one batch.
    Train,
    /// Forward and metrics of one batch; leaves the parameters alone.
    Evaluate,
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
    /// A row a step; see [`crate::ops::optimizer`].
    pub schedule: TensorId,
    /// Sum of losses and number of hits of each batch of an epoch.
    pub history: TensorId,
    /// The probabilities of the last batch.
    pub probability: TensorId,
    /// Weights and biases, in the order of [`Model::parameters`].
    pub parameters: Vec<TensorId>,
}

/// The tensors and calls of a model.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Samples of a batch.
    pub batch: usize,
    /// All tensors.
    pub tensors: Vec<TensorSpec>,
    /// The calls of a training step; none in a plan that only evaluates.
    pub train: Vec<Call>,
    /// The calls of an evaluation step.
    pub evaluate: Vec<Call>,
    /// What the host writes and reads.
    pub host: HostTensors,
}

impl Plan {
    /// The plan of a model.
    ///
    /// # Errors
    /// Where some kernel would loop more often than every driver executes, naming the layer.
    pub fn new(model: &Model, config: PlanConfig) -> Result<Self> {
        let plan = Builder::new(model, config).build();
        for call in plan.train.iter().chain(&plan.evaluate) {
            let least = call.op.variants().iter().map(|variant| variant.iterations).min().unwrap_or(0);
            ensure!(
                least <= MAX_ITERATIONS,
                "layer {}: a kernel of `{}` would loop {least} times, more than the {MAX_ITERATIONS} that every driver \
                 executes; make the layer or the batch smaller",
                call.layer,
                call.op.label()
            );
        }
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
        self.tensors.iter().map(TensorSpec::size_bytes).sum()
    }

    /// Each different op of the plan, in order.
    pub fn cases(&self) -> Vec<Case> {
        self.train.iter().chain(&self.evaluate).map(|call| call.op.clone()).collect()
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.layer, self.op.label())
    }
}
