//! A network as it is computed with bytes: normalisations are a part of the weights before them, and a ReLU is a bound of the
//! step before it.

use super::super::evaluate::factor_and_shift;
use crate::layers::network::{Function, Network, Value};

/// A step that is left.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Its inputs as the numbers of nodes, from 1; 0 is the image.
    pub(super) inputs: Vec<usize>,
    /// The shapes of its first input and of its output.
    pub(super) shapes: [Vec<usize>; 2],
    /// The value of the network that its output stands for.
    pub(super) value: Value,
}

/// What it computes.
pub(super) enum Kind {
    /// A convolution: rows of weights, a bias for each, the side of the kernel, the stride and the zeros before.
    Convolution {
        weights: Weights,
        kernel: usize,
        stride: usize,
        before: usize,
    },
    /// A dense layer.
    Dense(Weights),
    /// A factor and a shift for each channel.
    Scale(Weights),
    /// A rectifier that could not become a bound.
    Rectifier {
        slope: f64,
    },
    MaxPool {
        window: [usize; 2],
    },
    AveragePool {
        window: [usize; 2],
    },
    Flatten,
    Sum,
}

/// A row of weights and a bias for each output.
pub(super) struct Weights {
    pub(super) rows: Vec<Vec<f64>>,
    pub(super) bias: Vec<f64>,
}

impl Weights {
    fn new(weight: &[f32], bias: &[f32]) -> Self {
        let rows = weight.chunks_exact(weight.len() / bias.len());
        let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect();
        Self { rows: rows.map(wide).collect(), bias: wide(bias) }
    }

    /// Multiplies each output and adds to it.
    fn scale(&mut self, [factors, shifts]: [Vec<f64>; 2]) {
        let outputs = self.rows.iter_mut().zip(&mut self.bias).zip(factors.into_iter().zip(shifts));
        for ((row, bias), (factor, shift)) in outputs {
            row.iter_mut().for_each(|weight| *weight *= factor);
            *bias = *bias * factor + shift;
        }
    }
}

impl Kind {
    /// The weights that a normalisation behind it can become a part of.
    fn weights(&mut self) -> Option<&mut Weights> {
        match self {
            Self::Convolution { weights, .. } | Self::Dense(weights) | Self::Scale(weights) => Some(weights),
            _ => None,
        }
    }

    /// Whether its output has a unit of its own; otherwise it has that of its input.
    pub(super) fn has_own_unit(&self) -> bool {
        !matches!(self, Self::Rectifier { .. } | Self::MaxPool { .. } | Self::Flatten)
    }
}

/// The steps that are left of a network.
pub(super) fn simplified(network: &Network) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    // The node whose output each value is.
    let mut node_of = vec![0];
    for (place, step) in network.steps.iter().enumerate() {
        let (input, value) = (step.inputs[0], place + 1);
        if is_merged(network, &mut nodes, &node_of, value) {
            node_of.push(node_of[input]);
            continue;
        }
        let inputs = step.inputs.iter().map(|&value| node_of[value]).collect();
        let shapes = [network.shape(input).to_vec(), step.output.clone()];
        nodes.push(Node { name: step.name.clone(), kind: Kind::from(&step.function), inputs, shapes, value });
        node_of.push(nodes.len());
    }
    nodes
}

/// Makes the step that gives a value a part of those before it, if that is possible.
fn is_merged(network: &Network, nodes: &mut [Node], node_of: &[usize], value: Value) -> bool {
    let step = &network.steps[value - 1];
    let input = step.inputs[0];
    match &step.function {
        Function::Normalization { weight, bias, mean, variance, epsilon } => {
            // A ReLU between, also one that is a bound, is in the way.
            let is_rectified = input > 0 && matches!(network.steps[input - 1].function, Function::Rectifier { .. });
            let node = node_of[input].checked_sub(1).filter(|_| !is_rectified && readers(network, input) == 1);
            let Some(node) = node.map(|node| &mut nodes[node]) else { return false };
            let Some(weights) = node.kind.weights() else { return false };
            weights.scale(factor_and_shift(weight, bias, mean, variance, *epsilon));
            node.value = value;
            true
        }
        Function::Rectifier { slope: 0.0 } => {
            let bounded = bounded(network, input);
            bounded.iter().flatten().for_each(|&before| nodes[node_of[before] - 1].value = value);
            bounded.is_some()
        }
        _ => false,
    }
}

impl From<&Function> for Kind {
    fn from(function: &Function) -> Self {
        match function {
            Function::Convolution { weight, bias, stride, padding } => Self::Convolution {
                weights: Weights::new(weight.f32(), bias.f32()),
                kernel: weight.shape.extents()[2],
                stride: *stride,
                before: padding[0],
            },
            Function::Dense { weight, bias } => Self::Dense(Weights::new(weight.f32(), bias.f32())),
            Function::Normalization { weight, bias, mean, variance, epsilon } => {
                let [factors, shifts] = factor_and_shift(weight, bias, mean, variance, *epsilon);
                Self::Scale(Weights { rows: factors.into_iter().map(|factor| vec![factor]).collect(), bias: shifts })
            }
            Function::Rectifier { slope } => Self::Rectifier { slope: *slope },
            Function::MaxPool { window } => Self::MaxPool { window: *window },
            Function::AveragePool { window } => Self::AveragePool { window: *window },
            Function::Flatten => Self::Flatten,
            Function::Sum => Self::Sum,
        }
    }
}

/// The values that a ReLU of the last of them bounds if it is a bound of the step that gives the first of them: with a maximum or a
/// change of shape between, before which a ReLU gives the same. None if another step reads one of them, or if that step's
/// output has not a unit of its own.
fn bounded(network: &Network, last: Value) -> Option<Vec<Value>> {
    let mut values = vec![last];
    loop {
        let value = *values.last()?;
        let step = &network.steps[value.checked_sub(1)?];
        if readers(network, value) > 1 {
            return None;
        }
        match step.function {
            Function::MaxPool { .. } | Function::Flatten => values.push(step.inputs[0]),
            Function::Rectifier { .. } => return None,
            _ => return Some(values),
        }
    }
}

/// How often a value is read.
fn readers(network: &Network, value: Value) -> usize {
    network.steps.iter().flat_map(|step| &step.inputs).filter(|&&read| read == value).count()
}
