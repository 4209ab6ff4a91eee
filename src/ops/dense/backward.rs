//! The gradients of a dense layer.

use std::sync::Arc;

use super::products::Packed;
use super::shaders::{
    BACKWARD, BACKWARD_BLOCKS, BACKWARD_BLOCKS_NARROW, BACKWARD_LANES, BACKWARD_NARROW, BACKWARD_WEIGHT,
    BACKWARD_WEIGHT_BLOCKS, BACKWARD_WEIGHT_LANES,
};
use super::{Dense, NARROW_OUTPUTS, TILE_ROWS, TILE_TERMS};
use crate::op::{AdapterClass, MAX_WORKGROUP, Op, Operand, SUBGROUP_LANES, Shader, Sizes, Variant, sum_tolerance};
use crate::ops::half::Half;
use crate::ops::relu::{grad_before, take_in};
use crate::random::Random;
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;

/// The operands that the fast variants read as textures.
const TEXTURES: [&str; 3] = ["input", "output_grad", "weight"];

/// Rows and columns of a tile in workgroup memory, and terms of its sums there at a time.
const BLOCK_ROWS: usize = 32;

/// Its bytes: both factors, and the parts of a sum.
const BLOCKS_BYTES: usize = 16 * (2 * (BLOCK_ROWS * 9 - 1) + MAX_WORKGROUP);

/// The iterations of sums of this many terms: an invocation has eight of those in memory at a time. Then it adds up
/// four sums in two rounds and one in five.
fn block_iterations(terms: usize) -> usize {
    terms.div_ceil(BLOCK_ROWS) * (1 + 8) + 4 * 2 + 5
}

/// A variant of the largest workgroups.
fn blocks(shader: Shader, tiles: usize, iterations: usize) -> Variant {
    // SwiftShader takes half of the time for the plain kernels, and zeroes this memory in a browser: see `docs/TRIED.md`.
    Variant::tiled(shader, tiles, MAX_WORKGROUP, iterations).made_for(AdapterClass::GPUS)
}

/// The gradients of the parameters, in f64.
fn parameter_grads(dense: Dense, tensors: [&HostTensor; 2], weight_grad: &mut HostTensor, bias_grad: &mut HostTensor) {
    let Dense { batch, inputs, outputs } = dense;
    let [input, output_grad] = tensors.map(HostTensor::f32);
    Packed::new(batch, outputs, |n, o| output_grad[n * outputs + o]).multiply(
        |k, n| input[n * inputs + k],
        |_, _, sum| sum as f32,
        weight_grad.f32_mut(),
    );
    let mut sums = vec![0.0; outputs];
    for grads in output_grad.chunks_exact(outputs) {
        sums.iter_mut().zip(grads).for_each(|(sum, &grad)| *sum += f64::from(grad));
    }
    bias_grad.f32_mut().iter_mut().zip(sums).for_each(|(grad, sum)| *grad = sum as f32);
}

/// All gradients: `input`, `output_grad`, `weight` to `weight_grad`, `bias_grad` and `input_grad`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DenseBackward {
    /// Its sizes.
    pub dense: Dense,
    /// The slope of the rectifier that made `input`: 1 for none, 0 for ReLU. `input_grad` is the gradient before it.
    pub negative_slope: f64,
}

impl DenseBackward {
    pub(super) fn lanes(&self, shader: Shader) -> Variant {
        let Dense { batch, inputs, outputs } = self.dense;
        let size = self.dense.workgroup_size();
        // First the tiles of the weights' gradient, then those of the input's.
        let weight_tiles = inputs.div_ceil(TILE_ROWS) * outputs.div_ceil(4 * size);
        let input_tiles = inputs.div_ceil(4 * size) * batch.div_ceil(TILE_ROWS);
        let iterations = batch.max(outputs).div_ceil(TILE_TERMS) + 4 * TILE_ROWS + 4;
        Variant::tiled(shader, weight_tiles + input_tiles, size, iterations).sharing_lanes().reading_textures(&TEXTURES)
    }

    pub(super) fn narrow(&self, shader: Shader) -> Option<Variant> {
        let Dense { batch, inputs, outputs } = self.dense;
        let size = SUBGROUP_LANES as usize;
        // Eight samples at a time; then the gradients of four inputs' weights and the biases.
        let iterations = batch.div_ceil(8) + 4 + 5 * NARROW_OUTPUTS;
        let variant = || Variant::tiled(shader, inputs.div_ceil(4 * size), size, iterations);
        let fits = outputs <= NARROW_OUTPUTS && inputs.is_multiple_of(4);
        fits.then(|| variant().sharing_lanes().reading_textures(&TEXTURES))
    }

    /// The variant with blocks in workgroup memory, if these sizes have one.
    pub(super) fn blocks(&self, [narrow, wide]: [Shader; 2]) -> Option<Variant> {
        let Dense { batch, inputs, outputs } = self.dense;
        if !inputs.is_multiple_of(4) {
            None
        } else if outputs <= NARROW_OUTPUTS {
            // 32 inputs a workgroup, every 32nd sample an invocation; then four sums, each in five rounds.
            let iterations = batch.div_ceil(32) + 4 * 5 + 4 + 5 * NARROW_OUTPUTS;
            Some(blocks(narrow, inputs.div_ceil(32), iterations).sharing(64 * MAX_WORKGROUP))
        } else if outputs.is_multiple_of(4) {
            let tiles = inputs.div_ceil(BLOCK_ROWS) * (outputs.div_ceil(BLOCK_ROWS) + batch.div_ceil(BLOCK_ROWS));
            Some(blocks(wide, tiles, block_iterations(batch.max(outputs))).sharing(BLOCKS_BYTES))
        } else {
            None
        }
    }
}

impl Op for DenseBackward {
    fn name(&self) -> &'static str {
        "dense_backward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        [self.dense.sizes(), vec![("negative_slope", self.negative_slope)]].concat()
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { dense: Dense::of_sizes(sizes)?, ..*self }))
    }

    fn operands(&self) -> Vec<Operand> {
        let Dense { batch, inputs, outputs } = self.dense;
        vec![
            Operand::read("input", F32, [batch, inputs]),
            Operand::read("output_grad", F32, [batch, outputs]),
            Operand::read("weight", F32, [inputs, outputs]),
            Operand::write("weight_grad", F32, [inputs, outputs]),
            Operand::write("bias_grad", F32, [outputs]),
            Operand::write("input_grad", F32, [batch, inputs]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let Dense { batch, inputs, outputs } = self.dense;
        let elements = inputs * outputs + outputs + batch * inputs;
        let lanes = self.lanes(BACKWARD_LANES);
        let plain = Variant::linear(BACKWARD, elements, batch.max(outputs));
        let narrow = self.narrow(BACKWARD_NARROW);
        let blocks = self.blocks([BACKWARD_BLOCKS_NARROW, BACKWARD_BLOCKS]);
        narrow.into_iter().chain([lanes]).chain(blocks).chain([plain]).collect()
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let Dense { inputs, outputs, .. } = self.dense;
        let [input, output_grad, weight, weight_grad, bias_grad, input_grad] = tensors else {
            unreachable!("six operands")
        };
        parameter_grads(self.dense, [input, output_grad], weight_grad, bias_grad);
        let (input, output_grad, weight) = (input.f32(), output_grad.f32(), weight.f32());
        Packed::new(outputs, inputs, |o, k| weight[k * outputs + o]).multiply(
            |n, o| output_grad[n * outputs + o],
            |n, k, sum| grad_before(sum as f32, input[n * inputs + k], self.negative_slope),
            input_grad.f32_mut(),
        );
    }

    fn flops(&self) -> u64 {
        2 * self.dense.flops() + (self.dense.batch * self.dense.outputs) as u64
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.dense.batch.max(self.dense.outputs))
    }

    /// Random values; one in four of the inputs is 0, as behind a rectifier.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let draw = |operand: Operand| {
            let zeros = u32::from(operand.name == "input");
            let mut value = || if zeros > random.below(4) { 0.0 } else { random.uniform(-1.0, 1.0) };
            let values: Vec<f32> = (0..operand.shape.len()).map(|_| value()).collect();
            HostTensor::from_f32(operand.shape, &values)
        };
        self.operands().into_iter().map(draw).collect()
    }

    fn before_rectifier(&self, negative_slope: f64) -> Option<Arc<dyn Op>> {
        take_in(self.negative_slope, Self { negative_slope, ..*self })
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}

/// The gradients of a first layer, whose input needs none: `input`, `output_grad` to `weight_grad` and `bias_grad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DenseBackwardWeight(pub Dense);

impl DenseBackwardWeight {
    pub(super) fn lanes(&self, shader: Shader) -> Variant {
        let Dense { batch, inputs, outputs } = self.0;
        let size = self.0.workgroup_size();
        let tiles = inputs.div_ceil(TILE_ROWS) * outputs.div_ceil(4 * size);
        Variant::tiled(shader, tiles, size, batch.div_ceil(TILE_TERMS) + 4 * TILE_ROWS + 4)
            .sharing_lanes()
            .reading_textures(&TEXTURES[..2])
    }

    /// The variant with blocks in workgroup memory, if these sizes have one.
    pub(super) fn blocks(&self, shader: Shader) -> Option<Variant> {
        let Dense { batch, inputs, outputs } = self.0;
        let tiles = inputs.div_ceil(BLOCK_ROWS) * outputs.div_ceil(BLOCK_ROWS);
        let variant = || blocks(shader, tiles, block_iterations(batch)).sharing(BLOCKS_BYTES);
        (inputs.is_multiple_of(4) && outputs.is_multiple_of(4)).then(variant)
    }
}

impl Op for DenseBackwardWeight {
    fn name(&self) -> &'static str {
        "dense_backward_weight"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self(Dense::of_sizes(sizes)?)))
    }

    fn operands(&self) -> Vec<Operand> {
        let Dense { batch, inputs, outputs } = self.0;
        vec![
            Operand::read("input", F32, [batch, inputs]),
            Operand::read("output_grad", F32, [batch, outputs]),
            Operand::write("weight_grad", F32, [inputs, outputs]),
            Operand::write("bias_grad", F32, [outputs]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let Dense { batch, inputs, outputs } = self.0;
        let plain = Variant::linear(BACKWARD_WEIGHT, inputs * outputs + outputs, batch);
        [self.lanes(BACKWARD_WEIGHT_LANES)]
            .into_iter()
            .chain(self.blocks(BACKWARD_WEIGHT_BLOCKS))
            .chain([plain])
            .collect()
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, output_grad, weight_grad, bias_grad] = tensors else { unreachable!("four operands") };
        parameter_grads(self.0, [input, output_grad], weight_grad, bias_grad);
    }

    fn flops(&self) -> u64 {
        self.0.flops() + (self.0.batch * self.0.outputs) as u64
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.0.batch)
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}
