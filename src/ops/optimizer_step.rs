//! Optimizers for all parameters at once: the partial sums of each gradient are added in order and the parameter is updated,
//! in one dispatch.
//!
//! All parameters are in one tensor, one after the other, and so are the optimizer's moments and the partial sums of
//! the gradients. Each begins at a valid offset of a binding. Parameters begin at every other valid offset, so that the
//! offsets of their copy in 16-bit floats are also valid. A workgroup updates a block of a parameter. A row of the
//! table `blocks` describes its work: the offset of its first partial sums, the distance to the next ones, their
//! number, and the number of elements in the block.

use super::optimizer::{AdamUpdate, SgdUpdate, test_inputs};
use super::reduce::ChunkSum;
use crate::op::{AdapterClass, Op, Operand, Variant, shader, sum_tolerance};
use crate::random::Random;
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
    /// Partial sums of its gradient.
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
            for first in (0..length.next_multiple_of(PARAMETER_ALIGNMENT)).step_by(BLOCK) {
                let elements = BLOCK.min(length.saturating_sub(first));
                rows.extend([gradient + first, length, chunks, elements].map(|word| word as u32));
            }
        }
        HostTensor::from_u32([rows.len() / BLOCK_COLUMNS, BLOCK_COLUMNS], &rows)
    }

    fn ends(&self) -> [usize; 2] {
        self.starts()[self.0.len()]
    }

    fn most_chunks(&self) -> usize {
        self.0.iter().map(|segment| segment.chunks).max().unwrap_or(0)
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        let [parameters, gradients] = self.ends();
        vec![("parameters", parameters as f64), ("gradients", gradients as f64)]
    }

    /// The operands that every optimizer has before and after its moments.
    fn operands(&self, moments: &[&'static str], steps: usize) -> Vec<Operand> {
        let [parameters, gradients] = self.ends();
        let mut operands =
            vec![Operand::update("parameter", F32, [parameters]), Operand::read("grad_partial", F32, [gradients])];
        operands.extend(moments.iter().map(|&name| Operand::update(name, F32, [parameters])));
        operands.extend([
            Operand::read("blocks", U32, self.blocks().shape),
            Operand::read("schedule", F32, [steps, super::optimizer::SCHEDULE_COLUMNS]),
            Operand::read("clock", U32, [super::batch::CLOCK_LENGTH]),
        ]);
        operands
    }

    /// Sums each parameter's gradient and updates it with the op for its length; `tensors` as [`Self::operands`].
    fn reference<U: Op>(&self, tensors: &mut [HostTensor], update: impl Fn(usize) -> U) {
        let (clock, schedule) = (tensors[tensors.len() - 1].clone(), tensors[tensors.len() - 2].clone());
        let states: Vec<usize> = std::iter::once(0).chain(2..tensors.len() - 3).collect();
        for (Segment { length, chunks }, [start, gradient]) in self.0.iter().copied().zip(self.starts()) {
            let part = |tensor: &HostTensor| HostTensor::from_f32([length], &tensor.f32()[start..start + length]);
            let partial = &tensors[1].f32()[gradient..][..chunks * length];
            let mut sum = [HostTensor::from_f32([chunks, length], partial), HostTensor::zeros(F32, [length].into())];
            ChunkSum { chunks, length }.reference(&mut sum);
            let [_, sum] = sum;
            let mut operands = vec![part(&tensors[0]), sum];
            operands.extend(states[1..].iter().map(|&state| part(&tensors[state])));
            operands.extend([schedule.clone(), clock.clone()]);
            update(length).reference(&mut operands);
            operands.remove(1);
            for (&state, updated) in states.iter().zip(operands) {
                tensors[state].f32_mut()[start..start + length].copy_from_slice(updated.f32());
            }
        }
    }

    fn test_inputs(&self, op: &dyn Op, steps: usize, random: &mut Random) -> Vec<HostTensor> {
        let mut tensors = test_inputs(op, steps, random);
        let place = tensors.len() - 3;
        tensors[place] = self.blocks();
        tensors
    }

    fn tolerance(&self, update: f64) -> f64 {
        update + sum_tolerance(self.most_chunks())
    }

    /// Lengths and chunks at which kernels often fail.
    fn awkward() -> [Self; 4] {
        let lists: [&[(usize, usize)]; 4] =
            [&[(1, 1)], &[(64, 3), (1, 2)], &[(70, 1), (63, 16), (4099, 2)], &[(5, 4), (65, 5), (128, 1), (7, 1)]];
        lists.map(|list| Self(list.iter().map(|&(length, chunks)| Segment { length, chunks }).collect()))
    }
}

/// [`SgdUpdate`] of all parameters: `parameter`, `grad_partial`, `velocity`, `blocks`, `schedule`, `clock`, the first and
/// third updated.
#[derive(Clone, Debug, PartialEq)]
pub struct SgdStep {
    /// The parameters.
    pub segments: Segments,
    /// The update rule; its length is ignored.
    pub update: SgdUpdate,
}

impl SgdStep {
    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        SgdUpdate::awkward()
            .into_iter()
            .zip(Segments::awkward())
            .map(|(update, segments)| Self { segments, update })
            .collect()
    }
}

impl Op for SgdStep {
    fn name(&self) -> &'static str {
        "sgd_step"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        [self.segments.sizes(), self.update.sizes()[1..].to_vec()].concat()
    }

    fn operands(&self) -> Vec<Operand> {
        self.segments.operands(&["velocity"], self.update.steps)
    }

    fn variants(&self) -> Vec<Variant> {
        let shader = shader!("sgd_step":
            "shared/linear", "shared/floats_f32", "shared/single", "shared/segments", "shared/partials", "shared/schedule", "shared/sgd", "sgd_step");
        vec![Variant::linear(shader, self.segments.ends()[0], self.segments.most_chunks())]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        self.segments.reference(tensors, |length| SgdUpdate { length, ..self.update });
    }

    fn flops(&self) -> u64 {
        self.segments.sizes()[1].1 as u64 + SgdUpdate { length: self.segments.ends()[0], ..self.update }.flops()
    }

    fn tolerance(&self) -> f64 {
        self.segments.tolerance(self.update.tolerance())
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        self.segments.test_inputs(self, self.update.steps, random)
    }
}

/// [`AdamUpdate`] of all parameters: `parameter`, `grad_partial`, `first_moment`, `second_moment`, `blocks`, `schedule`,
/// `clock`, the first, third and fourth updated.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamStep {
    /// The parameters.
    pub segments: Segments,
    /// The update rule; its length is ignored.
    pub update: AdamUpdate,
}

impl AdamStep {
    /// Sizes at which kernels often fail.
    pub(super) fn awkward() -> Vec<Self> {
        AdamUpdate::awkward()
            .into_iter()
            .zip(Segments::awkward())
            .map(|(update, segments)| Self { segments, update })
            .collect()
    }
}

impl Op for AdamStep {
    fn name(&self) -> &'static str {
        "adam_step"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        [self.segments.sizes(), self.update.sizes()[1..].to_vec()].concat()
    }

    fn operands(&self) -> Vec<Operand> {
        self.segments.operands(&["first_moment", "second_moment"], self.update.steps)
    }

    /// For software four elements an invocation, which loads more at a time; for GPUs one element, and so more
    /// invocations.
    fn variants(&self) -> Vec<Variant> {
        let (elements, chunks) = (self.segments.ends()[0], self.segments.most_chunks());
        let quad = shader!("adam_step.quad":
            "shared/linear", "shared/quad", "shared/segments", "shared/texels", "shared/texels_f32", "shared/schedule",
            "shared/adam", "shared/adam_step", "adam_step.quad");
        let plain = shader!("adam_step":
            "shared/linear", "shared/floats_f32", "shared/single", "shared/segments", "shared/partials", "shared/schedule", "shared/adam",
            "shared/adam_step", "adam_step");
        let quad = Variant::linear(quad, elements / 4, chunks);
        let quad = quad.reading_textures(&["grad_partial"]).made_for(AdapterClass::SOFTWARE);
        vec![quad, Variant::linear(plain, elements, chunks)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        self.segments.reference(tensors, |length| AdamUpdate { length, ..self.update });
    }

    fn flops(&self) -> u64 {
        self.segments.sizes()[1].1 as u64 + AdamUpdate { length: self.segments.ends()[0], ..self.update }.flops()
    }

    fn tolerance(&self) -> f64 {
        self.segments.tolerance(self.update.tolerance())
    }

    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        self.segments.test_inputs(self, self.update.steps, random)
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
}
