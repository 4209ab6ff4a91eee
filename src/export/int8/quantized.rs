//! The whole numbers of a network that is computed with bytes.

use std::ops::Range;

use anyhow::{Context, Result, ensure};

use super::fixed::Fixed;
use super::simplified::{Kind, Node, Weights};
use crate::data::Task;

/// A logit of 1 in whole numbers.
pub const LOGIT_ONE: i32 = 1 << 16;

/// The largest magnitude of a weight.
const MOST_WEIGHT: f64 = 127.0;

/// What a byte of a value stands for: `(byte - zero) · unit`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Unit {
    pub(in super::super) unit: f64,
    pub(in super::super) zero: i32,
}

impl Unit {
    /// That of the bytes of images, less 128: their mean is rounded to a whole one, half a grey level off at most.
    fn of_images(task: &Task) -> Self {
        let [mean, deviation] = task.pixels();
        Self { unit: 1.0 / 255.0 / deviation, zero: (mean * 255.0).round() as i32 - 128 }
    }

    /// One with which the bytes reach over a range that holds 0.
    fn over(range: &Range<f32>) -> Self {
        let (least, most) = (f64::from(range.start.min(0.0)), f64::from(range.end.max(0.0)));
        // A value that is always 0 may have any unit.
        let unit = if least < most { (most - least) / 255.0 } else { 1.0 };
        Self { unit, zero: (-128.0 - least / unit).round().clamp(-128.0, 127.0) as i32 }
    }
}

/// A row of weights, a bias and a factor for each output.
pub(in super::super) struct Rows {
    pub(in super::super) weights: Vec<i8>,
    pub(in super::super) bias: Vec<i32>,
    pub(in super::super) factors: Vec<Fixed>,
}

/// What a step computes with bytes.
pub(in super::super) enum Computed {
    Convolution {
        rows: Rows,
        kernel: usize,
        stride: usize,
        before: usize,
    },
    Dense(Rows),
    /// A dense layer whose outputs are logits.
    DenseLogits(Rows),
    Scale(Rows),
    Rectifier {
        slope: Fixed,
    },
    MaxPool {
        window: [usize; 2],
    },
    AveragePool {
        window: [usize; 2],
        factor: Fixed,
    },
    Flatten,
    /// The sum of two values, whose factors have the same shift.
    Sum {
        factors: [Fixed; 2],
    },
    /// Bytes as logits.
    Widen {
        factor: Fixed,
    },
}

/// A step.
pub(in super::super) struct Step {
    pub(in super::super) name: String,
    pub(in super::super) computed: Computed,
    /// The values that it takes; see [`Value`](crate::layers::network::Value).
    pub(in super::super) inputs: Vec<usize>,
    /// The shapes of its first input and of its output.
    pub(in super::super) shapes: [Vec<usize>; 2],
    /// The zeros of its inputs and of its output.
    pub(in super::super) input_zeros: Vec<i32>,
    pub(in super::super) zero: i32,
}

/// The steps of these nodes, given the range of each node's output. The last step gives logits.
///
/// # Errors
/// If a sum or a factor does not fit into 32 bits.
pub(super) fn quantized(task: &Task, nodes: &[Node], ranges: &[Range<f32>]) -> Result<Vec<Step>> {
    let mut units = vec![Unit::of_images(task)];
    let mut steps = Vec::new();
    // What changes no number may follow the logits.
    let last = nodes.iter().rposition(|node| !matches!(node.kind, Kind::Flatten));
    for (place, node) in nodes.iter().enumerate() {
        let inputs: Vec<Unit> = node.inputs.iter().map(|&input| units[input]).collect();
        let is_last = Some(place) == last && matches!(node.kind, Kind::Dense(_));
        let unit = match node.kind.has_own_unit() {
            _ if is_last => Unit { unit: 1.0 / f64::from(LOGIT_ONE), zero: 0 },
            true => Unit::over(&ranges[place]),
            false => inputs[0],
        };
        let computed = computed(node, &inputs, unit.unit, is_last)
            .with_context(|| format!("{} cannot be computed in whole numbers", node.name))?;
        steps.push(Step {
            name: node.name.clone(),
            computed,
            inputs: node.inputs.clone(),
            shapes: node.shapes.clone(),
            input_zeros: inputs.iter().map(|input| input.zero).collect(),
            zero: unit.zero,
        });
        units.push(unit);
    }
    if !steps.iter().any(|step| matches!(step.computed, Computed::DenseLogits(_))) {
        let (bytes, shape) = (units[nodes.len()], nodes[nodes.len() - 1].shapes[1].clone());
        steps.push(Step {
            name: "logits".to_owned(),
            computed: Computed::Widen { factor: Fixed::new(bytes.unit * f64::from(LOGIT_ONE))? },
            inputs: vec![nodes.len()],
            shapes: [shape.clone(), shape],
            input_zeros: vec![bytes.zero],
            zero: 0,
        });
    }
    Ok(steps)
}

fn computed(node: &Node, inputs: &[Unit], unit: f64, is_last: bool) -> Result<Computed> {
    let input = inputs[0];
    Ok(match &node.kind {
        Kind::Convolution { weights, kernel, stride, before } => {
            let rows = rows(weights, input, unit)?;
            Computed::Convolution { rows, kernel: *kernel, stride: *stride, before: *before }
        }
        Kind::Dense(weights) if is_last => Computed::DenseLogits(rows(weights, input, unit)?),
        Kind::Dense(weights) => Computed::Dense(rows(weights, input, unit)?),
        Kind::Scale(weights) => Computed::Scale(rows(weights, input, unit)?),
        Kind::Rectifier { slope } => Computed::Rectifier { slope: Fixed::new(*slope)? },
        Kind::MaxPool { window } => Computed::MaxPool { window: *window },
        Kind::AveragePool { window } => {
            let size = (window[0] * window[1]) as f64;
            ensure!(255.0 * size <= f64::from(i32::MAX), "a window has too many elements");
            Computed::AveragePool { window: *window, factor: Fixed::new(input.unit / unit / size)? }
        }
        Kind::Flatten => Computed::Flatten,
        Kind::Sum => Computed::Sum { factors: Fixed::pair([input.unit / unit, inputs[1].unit / unit])? },
    })
}

/// Weights of 8 bits with a unit for each row, and the factor from its sums to bytes of the output.
fn rows(weights: &Weights, input: Unit, unit: f64) -> Result<Rows> {
    let mut rows = Rows { weights: vec![], bias: vec![], factors: vec![] };
    for (row, bias) in weights.rows.iter().zip(&weights.bias) {
        let most = row.iter().fold(0.0, |most: f64, weight| most.max(weight.abs()));
        // The bias of a row of tiny weights must fit, too.
        let least = bias.abs() / input.unit / f64::from(1 << 29);
        let of_row = if most > 0.0 || least > 0.0 { (most / MOST_WEIGHT).max(least) } else { unit / input.unit };
        let whole = |weight: &f64| (weight / of_row).round() as i8;
        let row: Vec<i8> = row.iter().map(whole).collect();
        let bias = (bias / (input.unit * of_row)).round();
        let sum: f64 = row.iter().map(|&weight| 255.0 * f64::from(weight).abs()).sum();
        ensure!(sum + bias.abs() <= f64::from(i32::MAX), "the sum of {} products can exceed 32 bits", row.len());
        rows.weights.extend(row);
        rows.bias.push(bias as i32);
        rows.factors.push(Fixed::new(input.unit * of_row / unit)?);
    }
    Ok(rows)
}
