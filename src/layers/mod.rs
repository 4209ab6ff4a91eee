//! The layers and THE TABLE of them. The parser, error messages, the help and README's list of layers are views of it.
//!
//! A layer is a small value: its text, its output's shape, its parameters and its calls forward and backward. A model
//! takes any [`Layer`], so also your own; `examples/own_layer.rs` trains one.

mod avg;
mod conv;
mod dense;
mod dropout;
mod flatten;
mod leaky;
pub mod network;
mod norm;
mod parse;
mod placed;
mod pool;
mod recorder;
mod relu;
mod residual;

use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

pub use avg::Avg;
pub use conv::Conv;
pub use dense::Dense;
pub use dropout::Dropout;
pub use flatten::Flatten;
pub use leaky::Leaky;
use network::NetworkBuilder;
pub use norm::Norm;
pub(crate) use norm::ZERO_MEANS;
pub use parse::parse;
pub(crate) use parse::split;
pub use placed::PlacedLayer;
pub(crate) use placed::{place, slope_after};
pub use pool::Pool;
pub use recorder::Recorder;
pub(crate) use recorder::{Ends, Recorded};
pub use relu::Relu;
pub use residual::Residual;

use crate::ops;
use crate::tensor::{HostTensor, Shape};

/// Makes a layer of words and of the layers in its parentheses.
pub type Parse = fn(&[&str], Vec<Arc<dyn Layer>>) -> Result<Arc<dyn Layer>>;

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The first word of its text.
    pub word: &'static str,
    /// Each form of its text, as an example: `conv 32x3` and `conv 32x3 same`.
    pub forms: &'static [&'static str],
    /// What it computes, in one sentence.
    pub help: &'static str,
    /// The layer with these words after the first, which are as many as in one of the forms, and around these layers,
    /// of which there are some if the form has them in parentheses.
    pub parse: Parse,
    /// Its ops that do not stand in the table of ops. They are verified and tested with those if the row stands in
    /// [`LAYERS`]; the ops of your own layers are checked by [`verify::check`](crate::verify::check).
    pub ops: &'static [ops::Entry],
    /// Its output, computed by hand, if it has such ops; a test checks that of each row of [`LAYERS`].
    pub example: Option<Example>,
}

/// A layer's output for one sample, computed by hand.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// The layer's text.
    pub form: &'static str,
    /// The shape of the input.
    pub shape: &'static [usize],
    /// The input.
    pub input: &'static [f32],
    /// The output.
    pub output: &'static [f32],
}

/// The table of layers, in the order in which models use them.
pub const LAYERS: &[Entry] = &[
    conv::ENTRY,
    relu::ENTRY,
    leaky::ENTRY,
    norm::ENTRY,
    pool::ENTRY,
    avg::ENTRY,
    flatten::ENTRY,
    dense::ENTRY,
    dropout::ENTRY,
    residual::ENTRY,
];

/// Every op: those of the [table of ops](ops::TABLE), and those of the layers.
pub fn every_op() -> impl Iterator<Item = &'static ops::Entry> + Clone {
    ops::TABLE.iter().chain(LAYERS.iter().flat_map(|entry| entry.ops))
}

/// A layer of a model.
pub trait Layer: Debug + Send + Sync {
    /// Its text, which the parser reads back: `dense 10`. The names of its tensors begin with the first word.
    fn text(&self) -> String;

    /// The shape of its output for one sample, given the shape of its input. By default they are equal.
    ///
    /// # Errors
    /// If it cannot take such an input.
    fn output(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    /// Its parameters, given the shape of its input for one sample. By default it has none.
    fn parameters(&self, _input: &[usize]) -> Vec<ParameterSpec> {
        vec![]
    }

    /// Records its calls forward. A layer that records none hands its input on.
    fn forward(&self, step: &mut Recorder<'_>);

    /// Records its calls backward: from the gradient of its output to those of its parameters and of its input.
    fn backward(&self, step: &mut Recorder<'_>);

    /// Says what it computes in an evaluation, in [functions](network::Function) that other programs know: then models
    /// with it can be exported. A layer that applies none hands its input on.
    ///
    /// # Errors
    /// By default, since a layer of your own need not say it.
    fn describe(&self, _network: &mut NetworkBuilder<'_>) -> Result<()> {
        bail!("it does not say what it computes in terms that other programs know; implement `Layer::describe`")
    }

    /// If it is a rectifier, its factor for negative values: 0 for a ReLU. It decides how large the initial weights
    /// before it are.
    fn negative_slope(&self) -> Option<f64> {
        None
    }

    /// An upper bound of its output's magnitude in an evaluation, given one of its input. If it is infinite,
    /// activations are computed on the CPU before images are scored.
    ///
    /// By default a layer without parameters is taken not to enlarge its input, as a mean or a maximum, and one with
    /// parameters has no bound. The check `large_weights` of `verify` fails if the bound is too small.
    fn bound(&self, input: f64, parameters: &[HostTensor]) -> f64 {
        if parameters.is_empty() { input } else { f64::INFINITY }
    }

    /// Whether a model may end with it. The loss needs logits of any sign, all of them, so a rectifier may not be the
    /// last, nor a layer that drops elements.
    fn may_be_last(&self) -> bool {
        self.negative_slope().is_none()
    }
}

impl dyn Layer {
    /// The first word of its text.
    pub(crate) fn word(&self) -> String {
        self.text().split([' ', '(']).next().unwrap_or_default().to_owned()
    }
}

impl fmt::Display for dyn Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// A parameter of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// Its name in the layer, such as `weight`: also the name of the operand that reads it.
    pub name: Cow<'static, str>,
    /// Its shape, as in PyTorch.
    pub shape: Shape,
    /// Its values before training.
    pub initial: Initial,
    /// How its elements lie in memory.
    pub order: Order,
    /// Whether the optimizer moves it. Otherwise it is state that the layer's calls update in training, such as running
    /// statistics; it is saved with the model too.
    pub trained: bool,
}

impl ParameterSpec {
    /// A parameter whose elements lie in memory as in the model.
    pub fn new(name: impl Into<Cow<'static, str>>, shape: impl Into<Shape>, initial: Initial) -> Self {
        Self { name: name.into(), shape: shape.into(), initial, order: Order::AsInModel, trained: true }
    }

    /// The same with the outputs last in memory.
    #[must_use]
    pub fn outputs_last(self) -> Self {
        Self { order: Order::OutputsLast, ..self }
    }

    /// The same with an element for each of a vector's, or for each channel of a map.
    #[must_use]
    pub fn as_input(self) -> Self {
        Self { order: Order::AsInput, ..self }
    }

    /// The same as state that is not trained.
    #[must_use]
    pub fn untrained(self) -> Self {
        Self { trained: false, ..self }
    }
}

/// How the elements of a parameter lie in memory. A model and its files have PyTorch's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As in the model.
    AsInModel,
    /// Weights `[o, c, ky, kx]` as `[ky, kx, c, o]`, and `[o, i]` as `[i, o]`. The inputs `i` of a layer after
    /// `flatten` are the elements of a map, which lie in memory as `[y, x, c]`.
    OutputsLast,
    /// As the elements of the layer's input, if it is a vector. After `flatten` these are the elements of a map, which
    /// lie in memory as `[y, x, c]`.
    AsInput,
}

/// The values of a parameter before training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initial {
    /// Weights of sums over this many inputs, uniform within a bound that depends on what follows.
    ///
    /// A rectifier with the slope `a` is given ±√(6 / (1 + a²) / inputs), which keeps the variance of the activations
    /// (He et al., "Delving deep into rectifiers", 2015). Otherwise the bound is 1/√inputs, PyTorch's default.
    Weight {
        /// Terms of each sum.
        fan_in: usize,
    },
    /// Uniform within ± this bound.
    Uniform(f32),
    /// All the same.
    Constant(f32),
}

impl Initial {
    /// The bound of uniform values, given the slope of the rectifier that follows, if one does.
    pub(crate) fn bound(self, negative_slope: Option<f64>) -> f32 {
        let gain = negative_slope.map_or(1.0, |slope| (6.0 / (1.0 + slope * slope)) as f32);
        match self {
            Self::Weight { fan_in } => (gain / fan_in as f32).sqrt(),
            Self::Uniform(bound) => bound,
            Self::Constant(_) => 0.0,
        }
    }
}

/// The parameters of a layer that sums `weight[o, ..] · input + bias[o]`.
fn weight_and_bias(weight: impl Into<Shape>) -> Vec<ParameterSpec> {
    let shape = weight.into();
    let (outputs, fan_in) = (shape.extents()[0], shape.extents()[1..].iter().product());
    let bound = (1.0 / fan_in as f32).sqrt();
    vec![
        ParameterSpec::new("weight", shape, Initial::Weight { fan_in }).outputs_last(),
        ParameterSpec::new("bias", [outputs], Initial::Uniform(bound)),
    ]
}

/// The bound of such a layer: an output is at most the largest input times the sum of its weights' magnitudes, plus its
/// bias.
fn bound_of_sums(input: f64, parameters: &[HostTensor]) -> f64 {
    let [weight, bias] = parameters else { return f64::INFINITY };
    let magnitude = |value: &f32| f64::from(*value).abs();
    let rows = weight.f32().chunks_exact(weight.f32().len() / bias.f32().len());
    let outputs =
        rows.zip(bias.f32()).map(|(row, bias)| input * row.iter().map(magnitude).sum::<f64>() + magnitude(bias));
    outputs.fold(0.0, f64::max)
}

/// Channels, rows and columns of a layer's input.
///
/// # Errors
/// If it is not a map.
pub fn map_of(input: &[usize]) -> Result<[usize; 3]> {
    <[usize; 3]>::try_from(input).ok().context("it needs a map of channels, rows and columns; move it before `flatten`")
}

/// A size in a layer's text.
///
/// # Errors
/// If it is no whole number from 1 to 65,536.
pub fn size(word: &str) -> Result<usize> {
    let number = word.parse().ok().with_context(|| format!("`{word}` is not a whole number"))?;
    ensure!((1..=65_536).contains(&number), "`{word}` must be from 1 to 65536");
    Ok(number)
}

/// A number in a layer's text.
///
/// # Errors
/// If it is none.
pub fn number(word: &str) -> Result<f64> {
    word.parse().ok().with_context(|| format!("`{word}` is not a number"))
}
