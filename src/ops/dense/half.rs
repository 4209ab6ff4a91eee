//! Dense layers in half precision.

use super::shaders::{
    BACKWARD_BLOCKS_F16, BACKWARD_BLOCKS_NARROW_F16, BACKWARD_F16, BACKWARD_LANES_F16, BACKWARD_NARROW_F16,
    BACKWARD_WEIGHT_BLOCKS_F16, BACKWARD_WEIGHT_F16, BACKWARD_WEIGHT_LANES_F16, CROSS_ENTROPY_BLOCKS_F16,
    CROSS_ENTROPY_F16, CROSS_ENTROPY_LANES_F16, FORWARD_BLOCKS_F16, FORWARD_F16, FORWARD_LANES_F16,
};
use super::{Dense, DenseBackward, DenseBackwardWeight, DenseCrossEntropyForward, DenseForward};
use crate::op::Variant;
use crate::ops::half::{InHalf, LOSS_SCALE};

impl InHalf for DenseForward {
    const NAME: &'static str = "dense_forward_f16";
    const HALVES: &'static [&'static str] = &["input", "weight", "output"];

    fn half_variants(&self) -> Vec<Variant> {
        let Dense { batch, inputs, outputs } = self.dense;
        let lanes = self.lanes(FORWARD_LANES_F16);
        let plain = Variant::linear(FORWARD_F16, batch * outputs / 2, 2 * inputs);
        [lanes].into_iter().chain(self.blocks(FORWARD_BLOCKS_F16)).chain([plain]).collect()
    }
}

impl InHalf for DenseCrossEntropyForward {
    const NAME: &'static str = "dense_cross_entropy_forward_f16";
    const HALVES: &'static [&'static str] = &["input", "weight", "logits_grad"];
    const SCALED: &'static [&'static str] = &["logits_grad"];

    fn scale(&self) -> f64 {
        LOSS_SCALE * self.dense.batch as f64
    }

    fn half_variants(&self) -> Vec<Variant> {
        let lanes = self.lanes(CROSS_ENTROPY_LANES_F16);
        let plain = self.plain(CROSS_ENTROPY_F16);
        lanes.into_iter().chain(self.blocks(CROSS_ENTROPY_BLOCKS_F16)).chain([plain]).collect()
    }
}

impl InHalf for DenseBackward {
    const NAME: &'static str = "dense_backward_f16";
    const HALVES: &'static [&'static str] = &["input", "output_grad", "weight", "input_grad"];
    const SCALED: &'static [&'static str] = &["weight_grad", "bias_grad"];

    fn scale(&self) -> f64 {
        1.0 / (LOSS_SCALE * self.dense.batch as f64)
    }

    fn half_variants(&self) -> Vec<Variant> {
        let Dense { batch, inputs, outputs } = self.dense;
        let words = inputs * outputs + outputs + batch * inputs / 2;
        let plain = Variant::linear(BACKWARD_F16, words, batch.max(2 * outputs));
        let narrow = self.narrow(BACKWARD_NARROW_F16);
        let blocks = self.blocks([BACKWARD_BLOCKS_NARROW_F16, BACKWARD_BLOCKS_F16]);
        narrow.into_iter().chain([self.lanes(BACKWARD_LANES_F16)]).chain(blocks).chain([plain]).collect()
    }
}

impl InHalf for DenseBackwardWeight {
    const NAME: &'static str = "dense_backward_weight_f16";
    const HALVES: &'static [&'static str] = &["input", "output_grad"];
    const SCALED: &'static [&'static str] = &["weight_grad", "bias_grad"];

    fn scale(&self) -> f64 {
        1.0 / (LOSS_SCALE * self.0.batch as f64)
    }

    fn half_variants(&self) -> Vec<Variant> {
        let Dense { batch, inputs, outputs } = self.0;
        let lanes = self.lanes(BACKWARD_WEIGHT_LANES_F16);
        let plain = Variant::linear(BACKWARD_WEIGHT_F16, inputs * outputs + outputs, batch);
        [lanes].into_iter().chain(self.blocks(BACKWARD_WEIGHT_BLOCKS_F16)).chain([plain]).collect()
    }
}
