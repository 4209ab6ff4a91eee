//! Computes a network on the host, one image at a time: the ranges of its values, and a check of what is exported.

use std::ops::Range;

use crate::data::Task;
use crate::layers::network::{Function, Network, Step, extents};
use crate::tensor::HostTensor;

/// The input and the outputs of all steps for an image, the bytes `[y, x, c]` of the task. Maps are `[c, y, x]`.
pub fn evaluate(network: &Network, task: &Task, image: &[u8]) -> Vec<Vec<f32>> {
    let mut values = vec![normalized(task, image)];
    for step in &network.steps {
        let inputs: Vec<&[f32]> = step.inputs.iter().map(|&value| &values[value][..]).collect();
        values.push(output(step, &inputs, network.shape(step.inputs[0])));
    }
    values
}

/// Probabilities of logits.
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shares: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f32 = shares.iter().sum();
    shares.iter().map(|share| share / sum).collect()
}

/// The image's planes `[c, y, x]`, normalised.
fn normalized(task: &Task, image: &[u8]) -> Vec<f32> {
    let [scale, shift] = task.scale_and_shift().map(|number| number as f32);
    planes(image, task.image().channels).map(|byte| f32::from(byte) * scale + shift).collect()
}

/// The bytes `[y, x, c]` in the order `[c, y, x]`.
pub(super) fn planes(image: &[u8], channels: usize) -> impl Iterator<Item = u8> + '_ {
    (0..channels).flat_map(move |channel| image.iter().skip(channel).step_by(channels).copied())
}

fn output(step: &Step, inputs: &[&[f32]], shape: &[usize]) -> Vec<f32> {
    let input = inputs[0];
    match &step.function {
        Function::Convolution { weight, bias, stride, padding } => {
            let places = Places::new(shape, extents(weight), &step.output, *stride, padding[0]);
            convolution(&places, input, weight.f32(), bias.f32())
        }
        Function::Dense { weight, bias } => {
            let rows = weight.f32().chunks_exact(input.len()).zip(bias.f32());
            rows.map(|(row, bias)| bias + row.iter().zip(input).map(|(weight, x)| weight * x).sum::<f32>()).collect()
        }
        Function::Normalization { weight, bias, mean, variance, epsilon } => {
            let [factors, shifts] = factor_and_shift(weight, bias, mean, variance, *epsilon);
            let channels = input.chunks_exact(input.len() / factors.len()).zip(factors.into_iter().zip(shifts));
            channels.flat_map(|(channel, (a, b))| channel.iter().map(move |&x| (f64::from(x) * a + b) as f32)).collect()
        }
        Function::Rectifier { slope } => input.iter().map(|&x| if x > 0.0 { x } else { x * *slope as f32 }).collect(),
        Function::MaxPool { window } => {
            windows(shape, *window).map(|places| places.map(|i| input[i]).fold(f32::NEG_INFINITY, f32::max)).collect()
        }
        Function::AveragePool { window } => {
            let size = (window[0] * window[1]) as f32;
            windows(shape, *window).map(|places| places.map(|i| input[i]).sum::<f32>() / size).collect()
        }
        Function::Flatten => input.to_vec(),
        Function::Sum => input.iter().zip(inputs[1]).map(|(a, b)| a + b).collect(),
    }
}

/// A normalisation as a factor and a shift for each channel.
pub(super) fn factor_and_shift(
    weight: &HostTensor,
    bias: &HostTensor,
    mean: &HostTensor,
    variance: &HostTensor,
    epsilon: f64,
) -> [Vec<f64>; 2] {
    let at = |of: &HostTensor, c: usize| f64::from(of.f32()[c]);
    let channels = 0..weight.f32().len();
    let factor: Vec<f64> = channels.map(|c| at(weight, c) / (at(variance, c) + epsilon).sqrt()).collect();
    let shift = factor.iter().enumerate().map(|(c, factor)| at(bias, c) - at(mean, c) * factor).collect();
    [factor, shift]
}

/// The indices into a map of the elements of each window, for each place of the output.
pub(super) fn windows(
    shape: &[usize],
    [rows, columns]: [usize; 2],
) -> impl Iterator<Item = impl Iterator<Item = usize>> {
    let [channels, height, width] = *shape else { unreachable!("pooling is of maps") };
    let corner = move |place: usize| {
        let (across, down) = (width / columns, height / rows);
        let (x, y, c) = (place % across, place / across % down, place / across / down);
        (c * height + y * rows) * width + x * columns
    };
    let count = channels * (height / rows) * (width / columns);
    (0..count).map(move |place| {
        let corner = corner(place);
        (0..rows * columns).map(move |i| corner + i / columns * width + i % columns)
    })
}

/// The sizes of a convolution, and where its kernel lies on the map.
pub(super) struct Places {
    pub(super) inputs: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) outputs: usize,
    pub(super) out_height: usize,
    pub(super) out_width: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) before: usize,
}

impl Places {
    pub(super) fn new(
        input: &[usize],
        [outputs, inputs, kernel, _]: [usize; 4],
        output: &[usize],
        stride: usize,
        before: usize,
    ) -> Self {
        let (&[_, height, width], &[_, out_height, out_width]) = (input, output) else {
            unreachable!("a convolution is of maps")
        };
        Self { inputs, height, width, outputs, out_height, out_width, kernel, stride, before }
    }

    /// The places of the output along an axis at which a row or column of the kernel lies within the map.
    pub(super) fn inside(&self, of_kernel: usize, side: usize, out_side: usize) -> Range<usize> {
        let first = self.before.saturating_sub(of_kernel).div_ceil(self.stride);
        let end = (side + self.before).saturating_sub(of_kernel).div_ceil(self.stride);
        first..end.min(out_side).max(first)
    }

    /// Adds to neighbouring elements of the output what they read, which lies a stride apart.
    pub(super) fn zip<S, T: Copy>(&self, sums: &mut [S], input: &[T], add: impl Fn(&mut S, T)) {
        if self.stride == 1 {
            // The compiler makes this a loop over several elements at a time.
            sums.iter_mut().zip(input).for_each(|(sum, &x)| add(sum, x));
        } else {
            sums.iter_mut().zip(input.iter().step_by(self.stride)).for_each(|(sum, &x)| add(sum, x));
        }
    }

    /// Calls `row` for each row of an output channel, each row of the input that it reads, and each column of the kernel:
    /// with the index of the weight, the place of the output's first element, of the input's, and how many elements follow.
    pub(super) fn rows(&self, output: usize, mut row: impl FnMut(usize, usize, usize, usize)) {
        for input in 0..self.inputs {
            for ky in 0..self.kernel {
                for y in self.inside(ky, self.height, self.out_height) {
                    for kx in 0..self.kernel {
                        let columns = self.inside(kx, self.width, self.out_width);
                        if columns.is_empty() {
                            continue;
                        }
                        let weight = ((output * self.inputs + input) * self.kernel + ky) * self.kernel + kx;
                        let from_row = input * self.height + y * self.stride + ky - self.before;
                        let from = from_row * self.width + columns.start * self.stride + kx - self.before;
                        row(weight, y * self.out_width + columns.start, from, columns.len());
                    }
                }
            }
        }
    }
}

fn convolution(places: &Places, input: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let area = places.out_height * places.out_width;
    let mut output = vec![0.0; places.outputs * area];
    for (o, channel) in output.chunks_exact_mut(area).enumerate() {
        channel.fill(bias[o]);
        places.rows(o, |w, to, from, count| {
            let weight = weight[w];
            places.zip(&mut channel[to..to + count], &input[from..], |sum, x| *sum += weight * x);
        });
    }
    output
}
