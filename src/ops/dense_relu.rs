//! Dense layers fused with what follows them: ReLU, or softmax and cross-entropy; and the gradients of a dense layer whose
//! input came out of a ReLU.
//!
//! Weights are `[inputs, outputs]`, see [`layout`](super::layout); the maths are those of [`dense`](super::dense),
//! [`relu`](super::relu) and [`cross_entropy`](super::cross_entropy), of which the references are made. The fast variants
//! are products of 4x4 matrices in registers, as in [`conv_relu_pool`](super::conv_relu_pool), those for GPUs by blocks in the
//! workgroup's memory.

mod half;
mod shaders;

use self::shaders::{
    BACKWARD, BACKWARD_BLOCKS, BACKWARD_BLOCKS_NARROW, BACKWARD_LANES, BACKWARD_NARROW, CROSS_ENTROPY,
    CROSS_ENTROPY_BLOCKS, CROSS_ENTROPY_LANES, FORWARD, FORWARD_BLOCKS, FORWARD_LANES,
};
use super::cross_entropy::{CrossEntropy, CrossEntropyBackward, CrossEntropyForward};
use super::dense::{Dense, DenseBackwardInput, DenseBackwardWeight, DenseForward};
use super::layout::permuted;
use super::reduce::BiasBackward;
use crate::op::{AdapterClass, MAX_WORKGROUP, Op, Operand, SUBGROUP_LANES, Shader, Variant};
use crate::random::Random;
use crate::tensor::DType::{F32, U32};
use crate::tensor::HostTensor;

/// Samples of a tile: four for each of the lanes that load for the others.
const TILE_SAMPLES: usize = 4 * SUBGROUP_LANES as usize;

/// Quads of inputs of a tile of the weights' gradient: one for each of these lanes.
const TILE_QUADS: usize = SUBGROUP_LANES as usize;

/// The most outputs of the variants that keep all of them in registers.
const NARROW_OUTPUTS: usize = 12;

/// Samples of a workgroup of the last layer's variant for GPUs; an invocation finishes an output of one of them.
const GPU_TILE_SAMPLES: usize = 4;

/// The operands that the fast variants of the forward ops read as textures.
const FORWARD_TEXTURES: [&str; 2] = ["input", "weight"];

/// The operands that the fast variants of the backward op read as textures.
const BACKWARD_TEXTURES: [&str; 3] = ["input", "output_grad", "weight"];

/// Invocations of a workgroup of which each has four outputs.
fn workgroup_size(outputs: usize) -> usize {
    outputs.div_ceil(4).next_multiple_of(SUBGROUP_LANES as usize).min(64)
}

/// `[inputs, outputs]` to `[outputs, inputs]`, or the other way round, given the extents of the former.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    permuted(values, [1, 1, rows, columns], [0, 1, 3, 2])
}

/// The reference of a dense layer's forward pass, with weights `[inputs, outputs]`.
fn forward_reference(dense: Dense, input: &HostTensor, weight: &HostTensor, bias: &HostTensor) -> HostTensor {
    let Dense { batch, inputs, outputs } = dense;
    let weight = HostTensor::from_f32([outputs, inputs], &transposed(weight.f32(), inputs, outputs));
    let mut operands = [input.clone(), weight, bias.clone(), HostTensor::zeros(F32, [batch, outputs].into())];
    DenseForward(dense).reference(&mut operands);
    let [_, _, _, output] = operands;
    output
}

/// Small multiples of 1/8, for sums that are exact.
fn exact_values(extents: [usize; 2], random: &mut Random) -> HostTensor {
    let values: Vec<f32> = (0..extents.iter().product()).map(|_| random.eighth()).collect();
    HostTensor::from_f32(extents, &values)
}

/// `input`, `weight`, `bias` to `output`, after ReLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DenseReluForward(pub Dense);

impl DenseReluForward {
    fn lanes(&self, shader: Shader) -> Variant {
        let Dense { batch, inputs, outputs } = self.0;
        let size = workgroup_size(outputs);
        Variant::tiled(shader, batch.div_ceil(TILE_SAMPLES), size, inputs.div_ceil(4) + 4 * TILE_SAMPLES)
            .repeated(outputs.div_ceil(4 * size))
            .sharing_lanes()
            .reading_textures(&FORWARD_TEXTURES)
    }

    /// The variant with blocks in workgroup memory, if these sizes have one.
    fn blocks(&self) -> Option<Variant> {
        let Dense { batch, inputs, outputs } = self.0;
        // Slices of 64 terms, of which an invocation has four; then four sums, each in four rounds.
        let iterations = inputs.div_ceil(64) * (1 + 4) + 4 * 4;
        let tiles = batch.div_ceil(16) * outputs.div_ceil(16);
        let bytes = 16 * (64 * (5 + 4) + MAX_WORKGROUP);
        let variant = || {
            Variant::tiled(FORWARD_BLOCKS, tiles, MAX_WORKGROUP, iterations)
                .sharing(bytes)
                .made_for(AdapterClass::WITHOUT_LANES)
        };
        outputs.is_multiple_of(4).then(variant)
    }
}

impl Op for DenseReluForward {
    fn name(&self) -> &'static str {
        "dense_relu_forward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn operands(&self) -> Vec<Operand> {
        let Dense { batch, inputs, outputs } = self.0;
        vec![
            Operand::read("input", F32, [batch, inputs]),
            Operand::read("weight", F32, [inputs, outputs]),
            Operand::read("bias", F32, [outputs]),
            Operand::write("output", F32, [batch, outputs]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let Dense { batch, inputs, outputs } = self.0;
        let lanes = self.lanes(FORWARD_LANES);
        let plain = Variant::linear(FORWARD, batch * outputs, inputs);
        [lanes].into_iter().chain(self.blocks()).chain([plain]).collect()
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, weight, bias, output] = tensors else { unreachable!("four operands") };
        *output = forward_reference(self.0, input, weight, bias);
        output.f32_mut().iter_mut().for_each(|value| *value = value.max(0.0));
    }

    fn flops(&self) -> u64 {
        DenseForward(self.0).flops()
    }

    fn tolerance(&self) -> f64 {
        DenseForward(self.0).tolerance()
    }
}

/// A dense layer, softmax and cross-entropy, and the gradient of the mean loss with respect to the logits: `input`, `weight`,
/// `bias`, `label` to `probability`, `logits_grad`, `loss` and `hit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DenseCrossEntropyForward(pub Dense);

impl DenseCrossEntropyForward {
    fn cross_entropy(&self) -> CrossEntropy {
        CrossEntropy { batch: self.0.batch, classes: self.0.outputs }
    }

    fn plain(&self, shader: Shader) -> Variant {
        let Dense { batch, inputs, outputs } = self.0;
        let size = outputs.next_multiple_of(SUBGROUP_LANES as usize);
        Variant::tiled(shader, batch, size, inputs + 3 * outputs).sharing(4 * outputs)
    }

    /// A workgroup must hold all outputs of its samples.
    fn lanes(&self, shader: Shader) -> Option<Variant> {
        let Dense { batch, inputs, outputs } = self.0;
        let size = workgroup_size(outputs);
        let iterations = inputs.div_ceil(4) + 4 * TILE_SAMPLES + TILE_SAMPLES.div_ceil(size) * 4 * outputs;
        let bytes = 4 * TILE_SAMPLES * outputs;
        let variant = || Variant::tiled(shader, batch.div_ceil(TILE_SAMPLES), size, iterations).sharing(bytes);
        (outputs <= 4 * size).then(|| variant().sharing_lanes().reading_textures(&FORWARD_TEXTURES))
    }

    /// The variant with blocks in workgroup memory, if these sizes have one.
    fn blocks(&self) -> Option<Variant> {
        let Dense { batch, inputs, outputs } = self.0;
        let splits = MAX_WORKGROUP / outputs;
        (splits >= GPU_TILE_SAMPLES).then(|| {
            let iterations = inputs.div_ceil(splits) + splits.ilog2() as usize + 1 + 2 * outputs;
            let size = splits * outputs;
            Variant::tiled(CROSS_ENTROPY_BLOCKS, batch.div_ceil(GPU_TILE_SAMPLES), size, iterations)
                .sharing(16 * size)
                .made_for(AdapterClass::WITHOUT_LANES)
        })
    }
}

impl Op for DenseCrossEntropyForward {
    fn name(&self) -> &'static str {
        "dense_cross_entropy_forward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn operands(&self) -> Vec<Operand> {
        let Dense { batch, inputs, outputs } = self.0;
        vec![
            Operand::read("input", F32, [batch, inputs]),
            Operand::read("weight", F32, [inputs, outputs]),
            Operand::read("bias", F32, [outputs]),
            Operand::read("label", U32, [batch]),
            Operand::write("probability", F32, [batch, outputs]),
            Operand::write("logits_grad", F32, [batch, outputs]),
            Operand::write("loss", F32, [batch]),
            Operand::write("hit", U32, [batch]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let lanes = self.lanes(CROSS_ENTROPY_LANES);
        let plain = self.plain(CROSS_ENTROPY);
        lanes.into_iter().chain(self.blocks()).chain([plain]).collect()
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, weight, bias, label, probability, logits_grad, loss, hit] = tensors else {
            unreachable!("eight operands")
        };
        let logits = forward_reference(self.0, input, weight, bias);
        let mut operands = [logits, label.clone(), probability.clone(), loss.clone(), hit.clone()];
        CrossEntropyForward(self.cross_entropy()).reference(&mut operands);
        let [_, _, found, losses, hits] = operands;
        let mut operands = [found, label.clone(), logits_grad.clone()];
        CrossEntropyBackward(self.cross_entropy()).reference(&mut operands);
        let [found, _, grads] = operands;
        (*probability, *logits_grad, *loss, *hit) = (found, grads, losses, hits);
    }

    fn flops(&self) -> u64 {
        let cross_entropy = self.cross_entropy();
        DenseForward(self.0).flops()
            + CrossEntropyForward(cross_entropy).flops()
            + CrossEntropyBackward(cross_entropy).flops()
    }

    /// The error of a logit enters an exponent, and logits are sums of many products.
    fn tolerance(&self) -> f64 {
        CrossEntropyForward(self.cross_entropy()).tolerance() + 4.0 * DenseForward(self.0).tolerance()
    }

    /// The gradient of a label is its probability minus 1. The probability is a quotient of exponentials, each with an
    /// error of some units in the last place.
    fn absolute_tolerance(&self, output: &str) -> f64 {
        match output {
            "logits_grad" => 8.0 * f64::from(f32::EPSILON) / self.0.batch as f64,
            _ => CrossEntropyForward(self.cross_entropy()).absolute_tolerance(output),
        }
    }

    /// Inputs with exact logits, so that every device finds the same argmax, and labels of which some are not a class.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let Dense { batch, inputs, outputs } = self.0;
        // Every other case has logits so far apart that an exponential would overflow without subtracting the maximum.
        let steepness = if batch.is_multiple_of(2) { 200.0 } else { 1.0 };
        let biases: Vec<f32> = exact_values([1, outputs], random).f32().iter().map(|bias| bias * steepness).collect();
        let mut tensors = vec![
            exact_values([batch, inputs], random),
            exact_values([inputs, outputs], random),
            HostTensor::from_f32([outputs], &biases),
            self.cross_entropy().test_labels(random),
        ];
        tensors
            .extend(self.operands()[4..].iter().map(|operand| HostTensor::zeros(operand.dtype, operand.shape.clone())));
        tensors
    }

    fn has_near_ties(&self) -> bool {
        true
    }
}

/// All gradients of a dense layer whose input came out of a ReLU, that with respect to the input before that ReLU: `input`,
/// `output_grad`, `weight` to `weight_grad`, `bias_grad` and `input_grad`, which is 0 where the input is not above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DenseReluBackward(pub Dense);

impl DenseReluBackward {
    fn narrow(&self, shader: Shader) -> Option<Variant> {
        let Dense { batch, inputs, outputs } = self.0;
        let size = SUBGROUP_LANES as usize;
        // Eight samples at a time; then the gradients of four inputs' weights and the biases.
        let iterations = batch.div_ceil(8) + 4 + 5 * NARROW_OUTPUTS;
        let variant = || Variant::tiled(shader, inputs.div_ceil(4 * size), size, iterations);
        let fits = outputs <= NARROW_OUTPUTS && inputs.is_multiple_of(4);
        fits.then(|| variant().sharing_lanes().reading_textures(&BACKWARD_TEXTURES))
    }

    /// The variant with blocks in workgroup memory, if these sizes have one.
    fn blocks(&self) -> Option<Variant> {
        let Dense { batch, inputs, outputs } = self.0;
        let tiled = |shader, tiles, iterations| {
            Variant::tiled(shader, tiles, MAX_WORKGROUP, iterations).made_for(AdapterClass::WITHOUT_LANES)
        };
        if !inputs.is_multiple_of(4) {
            None
        } else if outputs <= NARROW_OUTPUTS {
            // 32 inputs a workgroup, every 32nd sample an invocation; then four sums, each in five rounds.
            Some(
                tiled(BACKWARD_BLOCKS_NARROW, inputs.div_ceil(32), batch.div_ceil(32) + 4 * 5 + 4 + 5 * NARROW_OUTPUTS)
                    .sharing(64 * MAX_WORKGROUP),
            )
        } else if outputs.is_multiple_of(4) {
            // Slices of 32 terms, of which an invocation has eight; then four sums in two rounds and one in five.
            let tiles = inputs.div_ceil(32) * (outputs.div_ceil(32) + batch.div_ceil(32));
            let bytes = 16 * (2 * (32 * 9 - 1) + MAX_WORKGROUP);
            Some(tiled(BACKWARD_BLOCKS, tiles, batch.max(outputs).div_ceil(32) * (1 + 8) + 4 * 2 + 5).sharing(bytes))
        } else {
            None
        }
    }
}

impl Op for DenseReluBackward {
    fn name(&self) -> &'static str {
        "dense_relu_backward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn operands(&self) -> Vec<Operand> {
        let Dense { batch, inputs, outputs } = self.0;
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
        let Dense { batch, inputs, outputs } = self.0;
        let size = workgroup_size(outputs);
        // First the tiles of the weights' gradient, then those of the input's.
        let weight_tiles = inputs.div_ceil(4 * TILE_QUADS) * outputs.div_ceil(4 * size);
        let input_tiles = inputs.div_ceil(4 * size) * batch.div_ceil(TILE_SAMPLES);
        let iterations = batch.max(outputs).div_ceil(4) + 4 * TILE_SAMPLES + 4;
        let elements = inputs * outputs + outputs + batch * inputs;
        let lanes = Variant::tiled(BACKWARD_LANES, weight_tiles + input_tiles, size, iterations)
            .sharing_lanes()
            .reading_textures(&BACKWARD_TEXTURES);
        let plain = Variant::linear(BACKWARD, elements, batch.max(outputs));
        let narrow = self.narrow(BACKWARD_NARROW);
        narrow.into_iter().chain([lanes]).chain(self.blocks()).chain([plain]).collect()
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let Dense { batch, inputs, outputs } = self.0;
        let [input, output_grad, weight, weight_grad, bias_grad, input_grad] = tensors else {
            unreachable!("six operands")
        };
        let filters = HostTensor::zeros(F32, [outputs, inputs].into());
        let mut operands = [input.clone(), output_grad.clone(), filters];
        DenseBackwardWeight(self.0).reference(&mut operands);
        weight_grad.f32_mut().copy_from_slice(&transposed(operands[2].f32(), outputs, inputs));

        let bias = BiasBackward { batch, channels: outputs, area: 1 };
        let mut operands = [output_grad.clone(), HostTensor::zeros(F32, [bias.chunks(), outputs].into())];
        bias.reference(&mut operands);
        let mut sums = vec![0.0; outputs];
        for partial in operands[1].f32().chunks_exact(outputs) {
            sums.iter_mut().zip(partial).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        bias_grad.f32_mut().iter_mut().zip(sums).for_each(|(grad, sum)| *grad = sum as f32);

        let filters = HostTensor::from_f32([outputs, inputs], &transposed(weight.f32(), inputs, outputs));
        let mut operands = [output_grad.clone(), filters, input_grad.clone()];
        DenseBackwardInput(self.0).reference(&mut operands);
        let grads = operands[2].f32().iter().zip(input.f32());
        let passed = grads.map(|(&grad, &input)| if input > 0.0 { grad } else { 0.0 });
        input_grad.f32_mut().iter_mut().zip(passed).for_each(|(input_grad, grad)| *input_grad = grad);
    }

    fn flops(&self) -> u64 {
        DenseBackwardWeight(self.0).flops()
            + DenseBackwardInput(self.0).flops()
            + (self.0.batch * self.0.outputs) as u64
    }

    fn tolerance(&self) -> f64 {
        DenseBackwardWeight(self.0).tolerance().max(DenseBackwardInput(self.0).tolerance())
    }

    /// An input that came out of a ReLU.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let draw = |operand: Operand| {
            let low = if operand.name == "input" { 0.0 } else { -1.0 };
            let values: Vec<f32> = (0..operand.shape.len()).map(|_| random.uniform(-1.0, 1.0).max(low)).collect();
            HostTensor::from_f32(operand.shape, &values)
        };
        self.operands().into_iter().map(draw).collect()
    }
}
