//! Computes with bytes what the C file computes: the same whole numbers.

use super::super::evaluate::{Places, planes, windows};
use super::fixed::{Fixed, scaled};
use super::quantized::{Computed, Rows, Step};

/// The logits of an image, the bytes `[y, x, c]`.
pub(super) fn run(steps: &[Step], image: &[u8], channels: usize) -> Vec<i32> {
    let mut values: Vec<Vec<i8>> = vec![planes(image, channels).map(|byte| (i16::from(byte) - 128) as i8).collect()];
    let mut logits = Vec::new();
    for step in steps {
        let inputs: Vec<&[i8]> = step.inputs.iter().map(|&value| &values[value][..]).collect();
        let output = match &step.computed {
            Computed::DenseLogits(rows) => {
                logits = products(rows, step, inputs[0]).map(wide).collect();
                vec![]
            }
            Computed::Widen { factor } => {
                let apart = inputs[0].iter().map(|&byte| i32::from(byte) - step.input_zeros[0]);
                logits = apart.map(|number| wide(factor.times(number))).collect();
                vec![]
            }
            _ => output(step, &inputs),
        };
        values.push(output);
    }
    logits
}

/// The nearest number of 32 bits.
fn wide(number: i64) -> i32 {
    const MOST: i64 = i32::MAX as i64;
    number.clamp(-MOST, MOST) as i32
}

/// The nearest number of 8 bits.
fn clamped(number: i64) -> i8 {
    number.clamp(-128, 127) as i8
}

fn output(step: &Step, inputs: &[&[i8]]) -> Vec<i8> {
    let (input, from, to) = (inputs[0], step.input_zeros[0], i64::from(step.zero));
    let apart = |byte: i8| i32::from(byte) - from;
    match &step.computed {
        Computed::Convolution { rows, kernel, stride, before } => {
            let sizes = [step.shapes[1][0], step.shapes[0][0], *kernel, *kernel];
            let places = Places::new(&step.shapes[0], sizes, &step.shapes[1], *stride, *before);
            convolution(&places, rows, input, from, to)
        }
        Computed::Dense(rows) => products(rows, step, input).map(|product| clamped(to + product)).collect(),
        Computed::Scale(rows) => {
            let channels = input.chunks_exact(input.len() / rows.bias.len()).enumerate();
            let scaled =
                |c: usize, byte: i8| rows.factors[c].times(rows.bias[c] + i32::from(rows.weights[c]) * apart(byte));
            channels.flat_map(|(c, channel)| channel.iter().map(move |&byte| clamped(to + scaled(c, byte)))).collect()
        }
        Computed::Rectifier { slope } => {
            let below = |byte: i8| clamped(i64::from(from) + slope.times(apart(byte)));
            input.iter().map(|&byte| if i32::from(byte) < from { below(byte) } else { byte }).collect()
        }
        Computed::MaxPool { window } => {
            windows(&step.shapes[0], *window).map(|places| places.map(|i| input[i]).fold(i8::MIN, i8::max)).collect()
        }
        Computed::AveragePool { window, factor } => {
            let mean = |sum: i32| clamped(to + factor.times(sum));
            windows(&step.shapes[0], *window).map(|places| mean(places.map(|i| apart(input[i])).sum())).collect()
        }
        Computed::Sum { factors: [a, b] } => {
            let product =
                |byte: i8, zero: i32, factor: &Fixed| i64::from(i32::from(byte) - zero) * i64::from(factor.multiplier);
            let sum = |(&left, &right): (&i8, &i8)| product(left, from, a) + product(right, step.input_zeros[1], b);
            input.iter().zip(inputs[1]).map(|pair| clamped(to + scaled(sum(pair), a.shift))).collect()
        }
        Computed::Flatten | Computed::DenseLogits(_) | Computed::Widen { .. } => input.to_vec(),
    }
}

/// The scaled sums of a dense layer.
fn products(rows: &Rows, step: &Step, input: &[i8]) -> impl Iterator<Item = i64> {
    let zero = step.input_zeros[0];
    let outputs = rows.weights.chunks_exact(input.len()).zip(rows.bias.iter().zip(&rows.factors));
    outputs.map(move |(row, (bias, factor))| {
        let products = row.iter().zip(input).map(|(&weight, &byte)| i32::from(weight) * (i32::from(byte) - zero));
        factor.times(bias + products.sum::<i32>())
    })
}

fn convolution(places: &Places, rows: &Rows, input: &[i8], from: i32, to: i64) -> Vec<i8> {
    let mut sums = vec![0_i32; places.out_height * places.out_width];
    let mut output = Vec::with_capacity(places.outputs * sums.len());
    for o in 0..places.outputs {
        sums.fill(rows.bias[o]);
        places.rows(o, |weight, to, at, count| {
            let weight = i32::from(rows.weights[weight]);
            places.zip(&mut sums[to..to + count], &input[at..], |sum, byte| *sum += weight * (i32::from(byte) - from));
        });
        output.extend(sums.iter().map(|&sum| clamped(to + rows.factors[o].times(sum))));
    }
    output
}
