//! The output of a dense layer, rectified or not.

use std::sync::Arc;

use super::products::Packed;
use super::shaders::{FORWARD, FORWARD_BLOCKS, FORWARD_LANES};
use super::{Dense, TILE_ROWS, TILE_TERMS};
use crate::op::{AdapterClass, MAX_WORKGROUP, Op, Operand, Shader, Sizes, Variant, sum_tolerance};
use crate::ops::half::Half;
use crate::ops::relu::{rectified, take_in};
use crate::tensor::DType::F32;
use crate::tensor::HostTensor;

/// The operands that the fast variants of the forward ops read as textures.
pub(super) const FORWARD_TEXTURES: [&str; 2] = ["input", "weight"];

/// `input`, `weight`, `bias` to `output`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DenseForward {
    /// Its sizes.
    pub dense: Dense,
    /// The slope of the rectifier that it applies to what is not above 0: 1 for none, 0 for ReLU.
    pub negative_slope: f64,
}

impl DenseForward {
    pub(super) fn lanes(&self, shader: Shader) -> Variant {
        let Dense { batch, inputs, outputs } = self.dense;
        let size = self.dense.workgroup_size();
        Variant::tiled(shader, batch.div_ceil(TILE_ROWS), size, inputs.div_ceil(TILE_TERMS) + 4 * TILE_ROWS)
            .repeated(outputs.div_ceil(4 * size))
            .sharing_lanes()
            .reading_textures(&FORWARD_TEXTURES)
    }

    /// The variant with blocks in workgroup memory, if these sizes have one.
    pub(super) fn blocks(&self, shader: Shader) -> Option<Variant> {
        let Dense { batch, inputs, outputs } = self.dense;
        // Slices of 64 terms, of which an invocation has four; then four sums, each in four rounds.
        let iterations = inputs.div_ceil(64) * (1 + 4) + 4 * 4;
        let tiles = batch.div_ceil(16) * outputs.div_ceil(16);
        let bytes = 16 * (64 * (5 + 4) + MAX_WORKGROUP);
        let variant = || {
            Variant::tiled(shader, tiles, MAX_WORKGROUP, iterations)
                .sharing(bytes)
                .made_for(AdapterClass::WITHOUT_LANES)
        };
        outputs.is_multiple_of(4).then(variant)
    }
}

impl Op for DenseForward {
    fn name(&self) -> &'static str {
        "dense_forward"
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
            Operand::read("weight", F32, [inputs, outputs]),
            Operand::read("bias", F32, [outputs]),
            Operand::write("output", F32, [batch, outputs]),
        ]
    }

    fn variants(&self) -> Vec<Variant> {
        let Dense { batch, inputs, outputs } = self.dense;
        let lanes = self.lanes(FORWARD_LANES);
        let plain = Variant::linear(FORWARD, batch * outputs, inputs);
        [lanes].into_iter().chain(self.blocks(FORWARD_BLOCKS)).chain([plain]).collect()
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let Dense { inputs, outputs, .. } = self.dense;
        let [input, weight, bias, output] = tensors else { unreachable!("four operands") };
        let (input, weight, bias) = (input.f32(), weight.f32(), bias.f32());
        Packed::new(inputs, outputs, |k, o| weight[k * outputs + o]).multiply(
            |n, k| input[n * inputs + k],
            |_, o, sum| rectified((f64::from(bias[o]) + sum) as f32, self.negative_slope),
            output.f32_mut(),
        );
    }

    fn flops(&self) -> u64 {
        self.dense.flops()
    }

    fn tolerance(&self) -> f64 {
        sum_tolerance(self.dense.inputs)
    }

    fn rectifying(&self, negative_slope: f64) -> Option<Arc<dyn Op>> {
        take_in(self.negative_slope, Self { negative_slope, ..*self })
    }

    fn in_half(&self) -> Option<Arc<dyn Op>> {
        Half::of(*self)
    }
}
