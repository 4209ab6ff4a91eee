//! A last dense layer and what follows it: softmax, cross-entropy, and the gradient of the mean loss.

use std::sync::Arc;

use super::forward::FORWARD_TEXTURES;
use super::shaders::{CROSS_ENTROPY, CROSS_ENTROPY_BLOCKS, CROSS_ENTROPY_LANES};
use super::{Dense, DenseForward, TILE_ROWS, TILE_TERMS};
use crate::op::{AdapterClass, MAX_WORKGROUP, Op, Operand, SUBGROUP_LANES, Shader, Sizes, Variant};
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::half::Half;
use crate::random::Random;
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;

/// Terms of a sum from which on software without subgroups takes less time if invocations share it; see `docs/TRIED.md`.
const LONG_SUM: usize = 512;

/// Samples of a workgroup of the variant for GPUs; an invocation finishes an output of one of them.
const GPU_TILE_SAMPLES: usize = 4;

/// `input`, `weight`, `bias`, `label` to `probability`, `logits_grad`, `loss` and `hit`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DenseCrossEntropyForward {
    /// Its sizes.
    pub dense: Dense,
    /// The share of the target that all classes have alike; 0 for none.
    pub label_smoothing: f64,
}

impl DenseCrossEntropyForward {
    /// The most outputs with which the fast variant's workgroup holds the logits of its samples: 16 KiB. For layers of
    /// more outputs, two calls are faster.
    pub(crate) const MOST_OUTPUTS: usize = (16 << 10) / (4 * TILE_ROWS);

    /// Sizes, every other one with smoothed labels.
    pub(in crate::ops) fn awkward(sizes: Vec<Dense>) -> Vec<Self> {
        let smoothings = [0.0, 0.1].into_iter().cycle();
        sizes.into_iter().zip(smoothings).map(|(dense, label_smoothing)| Self { dense, label_smoothing }).collect()
    }

    fn logits(&self) -> DenseForward {
        DenseForward { dense: self.dense, negative_slope: 1.0 }
    }

    fn cross_entropy(&self) -> CrossEntropy {
        let Dense { batch, outputs, .. } = self.dense;
        CrossEntropy { batch, classes: outputs, label_smoothing: self.label_smoothing }
    }

    pub(super) fn plain(&self, shader: Shader) -> Variant {
        let Dense { batch, inputs, outputs } = self.dense;
        let size = outputs.next_multiple_of(SUBGROUP_LANES as usize).min(MAX_WORKGROUP);
        let iterations = outputs.div_ceil(size) * (1 + inputs) + 3 * outputs;
        Variant::tiled(shader, batch, size, iterations).sharing(4 * outputs)
    }

    /// A workgroup must hold all outputs of its samples.
    pub(super) fn lanes(&self, shader: Shader) -> Option<Variant> {
        let Dense { batch, inputs, outputs } = self.dense;
        let size = self.dense.workgroup_size();
        let iterations = inputs.div_ceil(TILE_TERMS) + 4 * TILE_ROWS + TILE_ROWS.div_ceil(size) * 4 * outputs;
        let bytes = 4 * TILE_ROWS * outputs;
        let variant = || Variant::tiled(shader, batch.div_ceil(TILE_ROWS), size, iterations).sharing(bytes);
        (outputs <= Self::MOST_OUTPUTS).then(|| variant().sharing_lanes().reading_textures(&FORWARD_TEXTURES))
    }

    /// The variant with blocks in workgroup memory, if these sizes have one.
    pub(super) fn blocks(&self, shader: Shader) -> Option<Variant> {
        let Dense { batch, inputs, outputs } = self.dense;
        let splits = MAX_WORKGROUP / outputs;
        (splits >= GPU_TILE_SAMPLES).then(|| {
            let iterations = inputs.div_ceil(splits) + splits.ilog2() as usize + 1 + 2 * outputs + 2;
            let size = splits * outputs;
            Variant::tiled(shader, batch.div_ceil(GPU_TILE_SAMPLES), size, iterations)
                .sharing(16 * size)
                .made_for(if inputs < LONG_SUM { AdapterClass::GPUS } else { AdapterClass::WITHOUT_LANES })
        })
    }
}

/// Small multiples of 1/8, for sums that are exact.
fn exact_values(extents: [usize; 2], random: &mut Random) -> HostTensor {
    let values: Vec<f32> = (0..extents.iter().product()).map(|_| random.eighth()).collect();
    HostTensor::from_f32(extents, &values)
}

impl Op for DenseCrossEntropyForward {
    fn name(&self) -> &'static str {
        "dense_cross_entropy_forward"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        [self.dense.sizes(), vec![("label_smoothing", self.label_smoothing)]].concat()
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { dense: Dense::of_sizes(sizes)?, ..*self }))
    }

    fn operands(&self) -> Vec<Operand> {
        // What the logits are made of, and what is made of the logits.
        [&self.logits().operands()[..3], &self.cross_entropy().operands()[1..]].concat()
    }

    fn variants(&self) -> Vec<Variant> {
        let lanes = self.lanes(CROSS_ENTROPY_LANES);
        let plain = self.plain(CROSS_ENTROPY);
        lanes.into_iter().chain(self.blocks(CROSS_ENTROPY_BLOCKS)).chain([plain]).collect()
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let Dense { batch, outputs, .. } = self.dense;
        let [input, weight, bias, label, results @ ..] = tensors else { unreachable!("eight operands") };
        let logits = HostTensor::zeros(F32, [batch, outputs].into());
        let mut operands = [&*input, weight, bias, &logits].map(Clone::clone);
        self.logits().reference(&mut operands);
        let [.., logits] = operands;
        let mut operands = [&[logits, label.clone()], &*results].concat();
        self.cross_entropy().reference(&mut operands);
        results.iter_mut().zip(operands.drain(2..)).for_each(|(result, found)| *result = found);
    }

    fn flops(&self) -> u64 {
        self.dense.flops() + self.cross_entropy().flops()
    }

    /// The error of a logit enters an exponent, and logits are sums of many products.
    fn tolerance(&self) -> f64 {
        self.cross_entropy().tolerance() + 4.0 * self.logits().tolerance()
    }

    fn absolute_tolerance(&self, output: &str) -> f64 {
        self.cross_entropy().absolute_tolerance(output)
    }

    /// Inputs with exact logits, so that every device finds the same argmax, and labels of which some are not a class.
    fn test_inputs(&self, random: &mut Random) -> Vec<HostTensor> {
        let Dense { batch, inputs, outputs } = self.dense;
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

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}
