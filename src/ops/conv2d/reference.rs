//! The references of a convolution, as products of matrices by tiles in registers, with sums in f64.
//!
//! A row of the kernel is one run of floats, in the padded map as in the weights. So a position's factors are `kernel`
//! slices of the map, and no matrix of them has to be made.

use pulp::Arch;
use rayon::prelude::*;

use super::{Conv2d, Conv2dBackwardInput, Conv2dForward};
use crate::ops::relu::{grad_before, rectified};

/// Rows and columns of a tile: as many sums as fit into registers.
const ROWS: usize = 4;
const COLUMNS: usize = 8;

type Row = [f64; COLUMNS];
type Tile = [Row; ROWS];

/// Adds to each row of a tile its factor times a row.
#[inline(always)]
fn add_products(tile: &mut Tile, factors: [f64; ROWS], row: &Row) {
    for (sums, factor) in tile.iter_mut().zip(factors) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += factor * value;
        }
    }
}

/// Adds the product of `ROWS` slices and a matrix with as many rows as they are long.
#[inline(always)]
fn add_slices(tile: &mut Tile, [a, b, c, d]: [&[f64]; ROWS], matrix: &[Row]) {
    for ((((row, a), b), c), d) in matrix.iter().zip(a).zip(b).zip(c).zip(d) {
        add_products(tile, [*a, *b, *c, *d], row);
    }
}

/// A matrix in blocks of `COLUMNS` columns, one block below the other, with zeros beyond the last column.
fn in_blocks(rows: usize, columns: usize, value: impl Fn(usize, usize) -> f32) -> Vec<Row> {
    let element = |row, column| if column < columns { f64::from(value(row, column)) } else { 0.0 };
    let block = |first: usize| (0..rows).map(move |row| std::array::from_fn(|i| element(row, first + i)));
    (0..columns).step_by(COLUMNS).flat_map(block).collect()
}

impl Conv2d {
    /// Floats of a row of the padded input.
    fn pitch(&self) -> usize {
        (self.in_width + self.padding) * self.in_channels
    }

    /// Floats of the padded input of a sample, with as many beyond as the last tile reads.
    fn padded_floats(&self) -> usize {
        (self.in_height + self.padding) * self.pitch() + COLUMNS
    }

    /// The input's rows in the padded input.
    fn rows_inside(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let ([before, _], pitch) = (self.zeros(), self.pitch());
        let (columns, channels) = (self.in_width, self.in_channels);
        (0..self.in_height)
            .map(move |y| (y + before) * pitch + before * channels)
            .map(move |i| i..i + columns * channels)
    }

    /// The input of a sample with zeros around it.
    fn padded(&self, sample: &[f32]) -> Vec<f64> {
        let mut padded = vec![0.0; self.padded_floats()];
        for (row, inside) in sample.chunks_exact(self.in_width * self.in_channels).zip(self.rows_inside()) {
            padded[inside].iter_mut().zip(row).for_each(|(to, from)| *to = f64::from(*from));
        }
        padded
    }

    /// Where in the padded input the first run of each position begins.
    fn starts(&self) -> Vec<usize> {
        let start = |i: usize| {
            let (y, x) = (i / self.out_width(), i % self.out_width());
            self.stride * (y * self.pitch() + x * self.in_channels)
        };
        (0..self.area()).map(start).collect()
    }

    fn input_floats(&self) -> usize {
        self.input()[1..].iter().product()
    }

    fn output_floats(&self) -> usize {
        self.output()[1..].iter().product()
    }
}

/// `ROWS` elements from `first` on, the last one again beyond the end.
fn some_of<T: Copy>(elements: &[T], first: usize) -> [T; ROWS] {
    std::array::from_fn(|i| elements[(first + i).min(elements.len() - 1)])
}

pub(super) fn forward(op: &Conv2dForward, input: &[f32], weight: &[f32], bias: &[f32], output: &mut [f32]) {
    let conv = op.conv;
    let (run, channels) = (conv.run(), conv.out_channels);
    let terms = conv.kernel * run;
    let weights = in_blocks(terms, channels, |row, o| weight[row * channels + o]);
    let biases = in_blocks(1, channels, |_, o| bias[o]);
    let starts = conv.starts();
    let sample = |input: &[f32], output: &mut [f32]| {
        let padded = conv.padded(input);
        for ((block, weights), bias) in weights.chunks_exact(terms).enumerate().zip(&biases) {
            for first in (0..starts.len()).step_by(ROWS) {
                let mut tile = [*bias; ROWS];
                let starts = some_of(&starts, first);
                for (ky, weights) in weights.chunks_exact(run).enumerate() {
                    add_slices(&mut tile, starts.map(|start| &padded[start + ky * conv.pitch()..][..run]), weights);
                }
                for (position, sums) in output.chunks_exact_mut(channels).skip(first).zip(tile) {
                    for (output, sum) in position[block * COLUMNS..].iter_mut().zip(sums) {
                        *output = rectified(sum as f32, op.negative_slope);
                    }
                }
            }
        }
    };
    output
        .par_chunks_exact_mut(conv.output_floats())
        .zip(input.par_chunks_exact(conv.input_floats()))
        .for_each(|(output, input)| Arch::new().dispatch(|| sample(input, output)));
}

pub(super) fn input_grads(
    op: &Conv2dBackwardInput,
    output_grad: &[f32],
    weight: &[f32],
    input: &[f32],
    input_grad: &mut [f32],
) {
    let conv = op.conv;
    let (run, channels) = (conv.run(), conv.out_channels);
    // For each row of the kernel: what the output channels add to each float of a run.
    let kernel_row = |ky: usize| in_blocks(channels, run, move |o, k| weight[(ky * run + k) * channels + o]);
    let weights: Vec<Vec<Row>> = (0..conv.kernel).map(kernel_row).collect();
    let starts = conv.starts();
    let sample = |output_grad: &[f32], input: &[f32], input_grad: &mut [f32]| {
        let grads: Vec<f64> = output_grad.iter().copied().map(f64::from).collect();
        let of_positions: Vec<&[f64]> = grads.chunks_exact(channels).collect();
        let mut padded = vec![0.0; conv.padded_floats()];
        for (ky, weights) in weights.iter().enumerate() {
            for (block, weights) in weights.chunks_exact(channels).enumerate() {
                let floats = COLUMNS.min(run - block * COLUMNS);
                for first in (0..starts.len()).step_by(ROWS) {
                    let mut tile = [[0.0; COLUMNS]; ROWS];
                    add_slices(&mut tile, some_of(&of_positions, first), weights);
                    for (start, sums) in starts[first..].iter().zip(tile) {
                        let run = &mut padded[start + ky * conv.pitch() + block * COLUMNS..][..floats];
                        run.iter_mut().zip(sums).for_each(|(run, sum)| *run += sum);
                    }
                }
            }
        }
        let sums = conv.rows_inside().flat_map(|inside| &padded[inside]);
        for ((grad, sum), value) in input_grad.iter_mut().zip(sums).zip(input) {
            *grad = grad_before(*sum as f32, *value, op.negative_slope);
        }
    };
    input_grad
        .par_chunks_exact_mut(conv.input_floats())
        .zip(output_grad.par_chunks_exact(conv.output_floats()))
        .zip(input.par_chunks_exact(conv.input_floats()))
        .for_each(|((input_grad, output_grad), input)| {
            Arch::new().dispatch(|| sample(output_grad, input, input_grad));
        });
}

/// The gradients of weights and bias, as partial sums over `samples` samples each.
pub(in crate::ops) fn weight_grads(
    conv: &Conv2d,
    samples: usize,
    input: &[f32],
    output_grad: &[f32],
    [weight_grad_partial, bias_grad_partial]: [&mut [f32]; 2],
) {
    let (run, channels) = (conv.run(), conv.out_channels);
    let starts = conv.starts();
    let blocks = channels.div_ceil(COLUMNS);
    let chunk = |input: &[f32], output_grad: &[f32], weight_grad: &mut [f32], bias_grad: &mut [f32]| {
        // For each row of the kernel and each block of channels the rows of a run, in tiles.
        let tiles = run.div_ceil(ROWS);
        let mut sums: Vec<Tile> = vec![[[0.0; COLUMNS]; ROWS]; conv.kernel * blocks * tiles];
        let mut biases = vec![[0.0; COLUMNS]; blocks];
        let each = input.chunks_exact(conv.input_floats()).zip(output_grad.chunks_exact(conv.output_floats()));
        for (input, output_grad) in each {
            let padded = conv.padded(input);
            let grads = in_blocks(starts.len(), channels, |position, o| output_grad[position * channels + o]);
            for (grads, biases) in grads.chunks_exact(starts.len()).zip(&mut biases) {
                for grad in grads {
                    biases.iter_mut().zip(grad).for_each(|(sum, grad)| *sum += grad);
                }
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let (ky, block, k) = (i / (blocks * tiles), i / tiles % blocks, i % tiles * ROWS);
                let seen = &padded[ky * conv.pitch() + k..];
                let mut tile = *sums;
                for (grad, start) in grads[block * starts.len()..].iter().zip(&starts) {
                    let [a, b, c, d] = seen[*start..][..ROWS] else { unreachable!("as many as rows") };
                    add_products(&mut tile, [a, b, c, d], grad);
                }
                *sums = tile;
            }
        }
        for (row, grads) in weight_grad.chunks_exact_mut(channels).enumerate() {
            let (ky, k) = (row / run, row % run);
            for (block, grads) in grads.chunks_mut(COLUMNS).enumerate() {
                let sums = sums[(ky * blocks + block) * tiles + k / ROWS][k % ROWS];
                grads.iter_mut().zip(sums).for_each(|(grad, sum)| *grad = sum as f32);
            }
        }
        bias_grad.iter_mut().zip(biases.as_flattened()).for_each(|(grad, sum)| *grad = *sum as f32);
    };
    weight_grad_partial
        .par_chunks_exact_mut(conv.kernel * run * channels)
        .zip(bias_grad_partial.par_chunks_exact_mut(channels))
        .zip(input.par_chunks(samples * conv.input_floats()))
        .zip(output_grad.par_chunks(samples * conv.output_floats()))
        .for_each(|(((weight_grad, bias_grad), input), output_grad)| {
            Arch::new().dispatch(|| chunk(input, output_grad, weight_grad, bias_grad));
        });
}
