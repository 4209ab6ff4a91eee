//! All parameters of a model in one tensor, and the partial sums of all gradients in another.
//!
//! Each parameter and each gradient begins at a valid offset of a binding. Parameters begin at every other valid
//! offset, so that the offsets of their copy in 16-bit floats are also valid. A table describes blocks of [`BLOCK`]
//! elements: the offset of the block's first partial sums, the distance to the next ones, their number, and the number
//! of elements in the block. So one dispatch adds up the partial sums of all gradients, always in the same order.

use rayon::prelude::*;

use crate::op::{Operand, sum_tolerance};
use crate::tensor::DType::{F32, U32};
use crate::tensor::HostTensor;

/// Elements of a block: the alignment of a binding's offset, in words, on every adapter.
pub const BLOCK: usize = 64;

/// The alignment of a parameter's offset. It is doubled because a block of 16-bit floats takes half of the words.
const PARAMETER_ALIGNMENT: usize = 2 * BLOCK;

/// Columns of the table of blocks.
const BLOCK_COLUMNS: usize = 4;

/// A parameter among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its elements.
    pub length: usize,
    /// Partial sums of its gradient; 0 of a frozen parameter, which has none and stays as it is.
    pub chunks: usize,
}

/// The parameters of one dispatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments(pub Vec<Segment>);

impl Segments {
    /// The offset of each parameter among the parameters, and of its partial sums among all gradients; last the ends.
    pub fn starts(&self) -> Vec<[usize; 2]> {
        let mut starts = vec![[0, 0]];
        for segment in &self.0 {
            let [parameter, gradient] = starts[starts.len() - 1];
            starts.push([
                (parameter + segment.length).next_multiple_of(PARAMETER_ALIGNMENT),
                (gradient + segment.chunks * segment.length).next_multiple_of(BLOCK),
            ]);
        }
        starts
    }

    /// The table of blocks: offset, stride, chunks and elements of each.
    pub fn blocks(&self) -> HostTensor {
        let mut rows = Vec::new();
        for (Segment { length, chunks }, [_, gradient]) in self.0.iter().copied().zip(self.starts()) {
            // Of a frozen parameter no element is moved.
            let moved = if chunks == 0 { 0 } else { length };
            for first in (0..length.next_multiple_of(PARAMETER_ALIGNMENT)).step_by(BLOCK) {
                let elements = BLOCK.min(moved.saturating_sub(first));
                rows.extend([gradient + first, length, chunks, elements].map(|word| word as u32));
            }
        }
        HostTensor::from_u32([rows.len() / BLOCK_COLUMNS, BLOCK_COLUMNS], &rows)
    }

    /// Elements of the tensor of all parameters.
    pub fn parameters(&self) -> usize {
        self.starts()[self.0.len()][0]
    }

    /// Elements of the tensor of all partial sums.
    pub(super) fn gradients(&self) -> usize {
        self.starts()[self.0.len()][1]
    }

    pub(super) fn most_chunks(&self) -> usize {
        self.0.iter().map(|segment| segment.chunks).max().unwrap_or(0)
    }

    pub(super) fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("parameters", self.parameters() as f64), ("gradients", self.gradients() as f64)]
    }

    /// The partial sums of all gradients.
    pub(super) fn grad_partial(&self) -> Operand {
        Operand::read("grad_partial", F32, [self.gradients()])
    }

    /// The table of blocks.
    pub(super) fn table(&self) -> Operand {
        Operand::read("blocks", U32, self.blocks().shape)
    }

    /// The gradient of each parameter that is not frozen, its partial sums added in order, with the parameter's offset.
    pub(super) fn sums<'a>(&'a self, partial: &'a [f32]) -> impl Iterator<Item = (usize, Vec<f64>)> + 'a {
        let moved = self.0.iter().zip(self.starts()).filter(|(segment, _)| segment.chunks > 0);
        moved.map(|(&Segment { length, chunks }, [start, gradient])| {
            let partial = &partial[gradient..][..chunks * length];
            let sum = |i| (0..chunks).map(|chunk| f64::from(partial[chunk * length + i])).sum();
            (start, (0..length).into_par_iter().with_min_len(1 << 12).map(sum).collect())
        })
    }

    /// The error of a sum of partial sums.
    pub(super) fn tolerance(&self) -> f64 {
        sum_tolerance(self.most_chunks())
    }

    /// Lengths and chunks at which kernels often fail.
    pub(super) fn awkward() -> [Self; 4] {
        let lists: [&[(usize, usize)]; 4] = [
            &[(1, 1)],
            &[(64, 3), (1, 2)],
            &[(70, 1), (63, 16), (4099, 2)],
            &[(5, 4), (130, 0), (65, 5), (128, 1), (7, 1)],
        ];
        lists.map(|list| Self(list.iter().map(|&(length, chunks)| Segment { length, chunks }).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_one_place_in_the_table() {
        let segments = Segments(vec![Segment { length: 70, chunks: 3 }, Segment { length: 5, chunks: 1 }]);
        assert_eq!(segments.starts(), [[0, 0], [128, 256], [256, 320]]);
        assert_eq!(segments.blocks().u32(), [0, 70, 3, 64, 64, 70, 3, 6, 256, 5, 1, 5, 320, 5, 1, 0]);
    }

    #[test]
    fn of_a_frozen_parameter_no_element_is_moved() {
        let segments = Segments(vec![Segment { length: 70, chunks: 0 }, Segment { length: 5, chunks: 1 }]);
        assert_eq!(segments.starts(), [[0, 0], [128, 0], [256, 64]]);
        assert_eq!(segments.blocks().u32(), [0, 70, 0, 0, 64, 70, 0, 0, 0, 5, 1, 5, 64, 5, 1, 0]);
        assert_eq!(
            segments.sums(&[1.0; 64]).map(|(start, grads)| (start, grads.len())).collect::<Vec<_>>(),
            [(128, 5)]
        );
    }
}
