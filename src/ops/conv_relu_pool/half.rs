//! A convolution, ReLU and max-pooling in half precision, among its variants those for matrix units.
//!
//! The `matrix8` and `matrix16` variants are matrix products whose factors are put together in workgroup memory: the
//! rows of the left one are positions (or, for the gradient of the weights, floats of the kernel), the columns of the
//! right one channels, and what is summed over comes in slabs. A workgroup has a tile of `4 · size` rows by `2 · size`
//! columns, of which a subgroup takes four matrices of `size` by `size` at a time.

use super::shaders::{
    BACKWARD_INPUT_AHEAD_F16, BACKWARD_INPUT_BLOCKS_F16, BACKWARD_INPUT_F16, BACKWARD_INPUT_LANES_F16,
    BACKWARD_INPUT_MATRIX_F16, BACKWARD_WEIGHT_F16, BACKWARD_WEIGHT_GATHER_F16, BACKWARD_WEIGHT_LANES_F16,
    BACKWARD_WEIGHT_MATRIX_F16, FORWARD_AHEAD_F16, FORWARD_BLOCKS_F16, FORWARD_F16, FORWARD_LANES_F16,
    FORWARD_MATRIX_F16,
};
use super::{ConvReluPool, ConvReluPoolBackwardInput, ConvReluPoolBackwardWeight, ConvReluPoolForward, TILE};
use crate::op::{AdapterClass, Feature, Shader, Variant};
use crate::ops::conv2d::Conv2d;
use crate::ops::half::{InHalf, LOSS_SCALE};

/// The length of a slab of the matrix variants.
const SLAB: usize = 32;

/// Invocations of a workgroup of the matrix variants.
const MATRIX_WORKGROUP: usize = 64;

impl ConvReluPool {
    /// The matrix variants of an op for matrices of 16x16 and 8x8, if the numbers of channels are multiples of 4.
    ///
    /// `rows` and `columns` are those of the product, and `slabs` are summed over.
    fn on_matrix_units(&self, shaders: [Shader; 2], rows: usize, columns: usize, slabs: usize) -> Vec<Variant> {
        if !self.has_fast_windows() || !self.has_quads() {
            return vec![];
        }
        let variant = |(shader, size): (Shader, usize)| {
            // Each of two passes, where a workgroup is one subgroup, puts both factors together and multiplies them.
            let turns = (4 * size + 2 * size) * SLAB / 4 / MATRIX_WORKGROUP + SLAB / size + SLAB;
            let iterations = 2 * (1 + slabs * (1 + turns)) + 32;
            Variant::tiled(shader, rows.div_ceil(4 * size), MATRIX_WORKGROUP, iterations)
                .repeated(columns.div_ceil(2 * size))
                .with(Feature::CooperativeMatrix { size: size as u32 })
                .sharing(2 * (4 * size + 2 * size) * SLAB + 4 * (4 * size) * (2 * size))
                .made_for(AdapterClass::GPUS)
        };
        shaders.into_iter().zip([16, 8]).map(variant).collect()
    }
}

impl InHalf for ConvReluPoolForward {
    const NAME: &'static str = "conv_relu_pool_forward_f16";
    const HALVES: &'static [&'static str] = &["input", "weight", "output"];

    fn half_variants(&self) -> Vec<Variant> {
        let block = self.0;
        let lanes = self.tiled(FORWARD_LANES_F16, TILE);
        let mut variants = block.fast(&["input", "weight"], [(block.has_out_quads(), lanes)]);
        let Conv2d { in_channels, out_channels, kernel, .. } = block.conv;
        let slabs = (kernel * kernel * in_channels).div_ceil(SLAB);
        variants.extend(block.on_matrix_units(FORWARD_MATRIX_F16, 4 * block.windows(), out_channels, slabs));
        variants.extend(self.ahead(FORWARD_AHEAD_F16));
        variants.extend(self.blocks(FORWARD_BLOCKS_F16));
        variants.push(self.plain(FORWARD_F16));
        variants
    }
}

impl InHalf for ConvReluPoolBackwardWeight {
    const NAME: &'static str = "conv_relu_pool_backward_weight_f16";
    const HALVES: &'static [&'static str] = &["input", "output_grad"];
    const SCALED: &'static [&'static str] = &["weight_grad_partial", "bias_grad_partial"];

    fn scale(&self) -> f64 {
        1.0 / (LOSS_SCALE * self.0.conv.batch as f64)
    }

    fn half_variants(&self) -> Vec<Variant> {
        let block = self.0;
        let lanes = self.lanes(BACKWARD_WEIGHT_LANES_F16);
        let mut variants = block.fast(&["input", "output_grad", "argmax"], [(block.has_out_quads(), lanes)]);
        let [kernel, _, in_channels, out_channels] = block.weight();
        let [_, pooled_rows, pooled_columns, _] = block.output();
        let slabs = (4 * block.samples_per_chunk() * pooled_rows * pooled_columns).div_ceil(SLAB);
        let matrix =
            block.on_matrix_units(BACKWARD_WEIGHT_MATRIX_F16, kernel * kernel * in_channels, out_channels, slabs);
        variants.extend(matrix.into_iter().map(|variant| {
            let [x, y, columns] = variant.workgroups;
            Variant { workgroups: [x * y, columns, block.chunks() as u32], ..variant }
        }));
        variants.extend(block.gather(BACKWARD_WEIGHT_GATHER_F16));
        variants.push(self.plain(BACKWARD_WEIGHT_F16));
        variants
    }
}

impl InHalf for ConvReluPoolBackwardInput {
    const NAME: &'static str = "conv_relu_pool_backward_input_f16";
    const HALVES: &'static [&'static str] = &["output_grad", "weight", "input_grad"];

    fn half_variants(&self) -> Vec<Variant> {
        let block = self.0;
        let lanes = self.tiled(BACKWARD_INPUT_LANES_F16);
        let mut variants = block.fast(&["output_grad", "argmax", "weight"], [(block.has_quads(), lanes)]);
        let Conv2d { in_channels, out_channels, kernel, .. } = block.conv;
        let positions: usize = block.input()[..3].iter().product();
        let slabs = kernel * kernel * out_channels.div_ceil(SLAB);
        variants.extend(block.on_matrix_units(BACKWARD_INPUT_MATRIX_F16, positions, in_channels, slabs));
        variants.extend(self.ahead(BACKWARD_INPUT_AHEAD_F16));
        variants.extend(self.blocks(BACKWARD_INPUT_BLOCKS_F16));
        let iterations = 2 * kernel * (1 + kernel * (1 + out_channels));
        let words = positions * in_channels / 2;
        variants.push(Variant::linear(BACKWARD_INPUT_F16, words, 2 + iterations));
        variants
    }
}
