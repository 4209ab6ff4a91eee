//! What a model computes when it is evaluated, as a list of a few functions that other programs know. Exports are made of it.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};

use super::PlacedLayer;
use crate::tensor::HostTensor;

/// A function of one sample: of a map `[c, y, x]` or a vector, or, for [`Function::Sum`], of two.
#[derive(Clone, Debug, PartialEq)]
pub enum Function {
    /// A cross-correlation: `output[o,y,x] = bias[o] + Σ weight[o,c,ky,kx] · padded[c, stride·y+ky, stride·x+kx]`.
    Convolution {
        /// `[o, c, ky, kx]`, the kernel being square.
        weight: HostTensor,
        /// `[o]`.
        bias: HostTensor,
        /// The distance in the input of neighbouring positions of the output.
        stride: usize,
        /// Zeros before and after each row and column.
        padding: [usize; 2],
    },
    /// `output[o] = bias[o] + Σ weight[o,i] · input[i]`.
    Dense {
        /// `[o, i]`.
        weight: HostTensor,
        /// `[o]`.
        bias: HostTensor,
    },
    /// `(input - mean[c]) / √(variance[c] + epsilon) · weight[c] + bias[c]`, for the channels of a map or the elements of
    /// a vector.
    Normalization {
        /// `[c]`.
        weight: HostTensor,
        /// `[c]`.
        bias: HostTensor,
        /// `[c]`.
        mean: HostTensor,
        /// `[c]`.
        variance: HostTensor,
        /// What is added to each variance.
        epsilon: f64,
    },
    /// Negative values times this slope; 0 for a ReLU.
    Rectifier {
        /// From 0 to 1.
        slope: f64,
    },
    /// The maximum of each window of so many rows and columns. Windows do not overlap; what is left over is dropped.
    MaxPool {
        /// Rows and columns.
        window: [usize; 2],
    },
    /// The mean of each such window.
    AveragePool {
        /// Rows and columns.
        window: [usize; 2],
    },
    /// A map as a vector, in the order `[c, y, x]`.
    Flatten,
    /// The sum of two values of one shape, element by element.
    Sum,
}

impl Function {
    /// The shape of the output, given that of an input that it can take.
    pub fn output(&self, input: &[usize]) -> Vec<usize> {
        match (self, input) {
            (Self::Convolution { weight, stride, padding: [before, after], .. }, &[_, height, width]) => {
                let [outputs, _, kernel, _] = extents(weight);
                let places = |side: usize| (side + before + after - kernel) / stride + 1;
                vec![outputs, places(height), places(width)]
            }
            (Self::Dense { bias, .. }, _) => bias.shape.extents().to_vec(),
            (Self::MaxPool { window } | Self::AveragePool { window }, &[channels, height, width]) => {
                vec![channels, height / window[0], width / window[1]]
            }
            (Self::Flatten, input) => vec![input.iter().product()],
            (_, input) => input.to_vec(),
        }
    }
}

/// The extents of a tensor of known rank.
pub(crate) fn extents<const RANK: usize>(tensor: &HostTensor) -> [usize; RANK] {
    let extents = tensor.shape.extents();
    extents.try_into().unwrap_or_else(|_| unreachable!("a tensor of {RANK} axes, not {extents:?}"))
}

/// A value of a [`Network`]: 0 is its input, and `n + 1` is the output of step `n`.
pub type Value = usize;

/// A function applied to values.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The layer's name: `conv2`, `residual1.conv1`. If a layer has several steps, they are numbered: `norm1.2`.
    pub name: String,
    /// What is computed.
    pub function: Function,
    /// The values that it takes: one, or two for a sum.
    pub inputs: Vec<Value>,
    /// The shape of its output.
    pub output: Vec<usize>,
}

/// The steps of a model's evaluation, from a normalised image to logits.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Channels, rows and columns of the image.
    pub input: Vec<usize>,
    /// The steps, each after those whose values it takes; the last one gives the logits.
    pub steps: Vec<Step>,
}

impl Network {
    /// The network of placed layers for images of a shape, with the parameters by their full names.
    ///
    /// # Errors
    /// If a layer does not say what it computes, or says something of another shape than its output.
    pub fn of(layers: &[PlacedLayer], input: &[usize], parameters: &HashMap<String, &HostTensor>) -> Result<Self> {
        let mut steps = Vec::new();
        NetworkBuilder { layer: "", shape: input, value: 0, parameters, steps: &mut steps }.layers(layers)?;
        Ok(Self { input: input.to_vec(), steps })
    }

    /// The shape of a value.
    pub fn shape(&self, value: Value) -> &[usize] {
        value.checked_sub(1).map_or(&self.input, |step| &self.steps[step].output)
    }
}

/// Where a layer says what it computes; see [`Layer::describe`](super::Layer::describe).
#[derive(Debug)]
pub struct NetworkBuilder<'a> {
    /// The layer's full name.
    layer: &'a str,
    shape: &'a [usize],
    value: Value,
    parameters: &'a HashMap<String, &'a HostTensor>,
    steps: &'a mut Vec<Step>,
}

impl NetworkBuilder<'_> {
    /// The shape of the layer's input.
    pub fn input(&self) -> &[usize] {
        self.shape
    }

    /// The current value: the layer's input, then the output of what was last applied.
    pub fn value(&self) -> Value {
        self.value
    }

    /// Goes back to an earlier value, from which a second branch begins.
    pub fn go_back(&mut self, value: Value) {
        self.value = value;
    }

    /// One of the layer's parameters, by its name in the layer: `weight`.
    ///
    /// # Errors
    /// If it has none of that name.
    pub fn parameter(&self, name: &str) -> Result<HostTensor> {
        let full = format!("{}.{name}", self.layer);
        self.parameters
            .get(&full)
            .map(|&tensor| tensor.clone())
            .with_context(|| format!("there is no parameter `{full}`"))
    }

    /// Applies a function to the current value.
    pub fn apply(&mut self, function: Function) {
        self.push(function, vec![self.value]);
    }

    /// Adds a value to the current one.
    pub fn add(&mut self, value: Value) {
        self.push(Function::Sum, vec![self.value, value]);
    }

    fn push(&mut self, function: Function, inputs: Vec<Value>) {
        let shape = |value: Value| value.checked_sub(1).map_or(self.shape, |step| &self.steps[step].output);
        // Only the first layer reads value 0, the image, whose shape is that of its input.
        let output = function.output(shape(inputs[0]));
        let is_taken = |name: &str| self.steps.iter().any(|step| step.name == name);
        let numbered = (2..).map(|number| format!("{}.{number}", self.layer));
        let mut names = std::iter::once(self.layer.to_owned()).chain(numbered);
        let name = names.find(|name| !is_taken(name)).unwrap_or_default();
        self.steps.push(Step { name, function, inputs, output });
        self.value = self.steps.len();
    }

    /// Layers one after the other from the current value on; their names begin with that of this layer.
    ///
    /// # Errors
    /// If one of them does not say what it computes, or says something of another shape than its output.
    pub fn layers(&mut self, layers: &[PlacedLayer]) -> Result<()> {
        let prefix = if self.layer.is_empty() { String::new() } else { format!("{}.", self.layer) };
        for placed in layers {
            let name = format!("{prefix}{}", placed.name);
            let mut network = NetworkBuilder {
                layer: &name,
                shape: &placed.input,
                value: self.value,
                parameters: self.parameters,
                steps: self.steps,
            };
            let described = placed.layer.describe(&mut network);
            let value = network.value;
            described.with_context(|| format!("layer {name} (`{}`) cannot be exported", placed.layer))?;
            let given = value.checked_sub(1).map_or(&placed.input, |step| &self.steps[step].output);
            ensure!(
                *given == placed.output,
                "layer {name} (`{}`) says that it computes an output of shape {given:?}, but its output is {:?}",
                placed.layer,
                placed.output
            );
            self.value = value;
        }
        Ok(())
    }
}
