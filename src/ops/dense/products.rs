//! The products of matrices behind the references, for training on the CPU: in f64, by blocks that stay in registers.

use pulp::Arch;
use rayon::prelude::*;

/// Rows and columns of a block of sums.
const ROWS: usize = 4;
const COLUMNS: usize = 8;

/// Rows of a task of one thread.
const TASK_ROWS: usize = 8 * ROWS;

/// The right factor of a product, packed: for each eight columns, the terms one after the other.
pub(super) struct Packed {
    terms: usize,
    columns: usize,
    values: Vec<[f32; COLUMNS]>,
}

impl Packed {
    /// Packs `value(term, column)`.
    pub(super) fn new(terms: usize, columns: usize, value: impl Fn(usize, usize) -> f32 + Sync) -> Self {
        let mut values = vec![[0.0; COLUMNS]; terms * columns.div_ceil(COLUMNS)];
        values.par_chunks_exact_mut(terms).enumerate().for_each(|(panel, values)| {
            let first = panel * COLUMNS;
            for (term, values) in values.iter_mut().enumerate() {
                for (column, packed) in (first..columns).zip(values) {
                    *packed = value(term, column);
                }
            }
        });
        Self { terms, columns, values }
    }

    /// Writes `finish(row, column, Σ_term left(row, term) · right(term, column))`, with the sum in f64.
    pub(super) fn multiply(
        &self,
        left: impl Fn(usize, usize) -> f32 + Sync,
        finish: impl Fn(usize, usize, f64) -> f32 + Sync,
        result: &mut [f32],
    ) {
        let rows = result.len() / self.columns;
        result.par_chunks_mut(TASK_ROWS * self.columns).enumerate().for_each(|(task, result)| {
            let first_row = task * TASK_ROWS;
            for (panel, values) in self.values.chunks_exact(self.terms).enumerate() {
                let first_column = panel * COLUMNS;
                for (block, result) in result.chunks_mut(ROWS * self.columns).enumerate() {
                    // Rows beyond the last one are computed as the last one, and not written.
                    let row = |j: usize| (first_row + ROWS * block + j).min(rows - 1);
                    let sums = Arch::new().dispatch(|| block_of_sums(values, |j, term| left(row(j), term)));
                    for (j, (sums, result)) in sums.into_iter().zip(result.chunks_exact_mut(self.columns)).enumerate() {
                        for (column, sum) in (first_column..self.columns).zip(sums) {
                            result[column] = finish(row(j), column, sum);
                        }
                    }
                }
            }
        });
    }
}

/// The sums of the products of some rows of the left factor, and eight columns of the right one.
#[inline(always)]
fn block_of_sums(right: &[[f32; COLUMNS]], left: impl Fn(usize, usize) -> f32) -> [[f64; COLUMNS]; ROWS] {
    let mut sums = [[0.0; COLUMNS]; ROWS];
    for (term, right) in right.iter().enumerate() {
        let right = right.map(f64::from);
        for (row, sums) in sums.iter_mut().enumerate() {
            let left = f64::from(left(row, term));
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum += left * right;
            }
        }
    }
    sums
}
