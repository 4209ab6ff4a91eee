//! A convolution in half precision.

use super::shaders::{
    BACKWARD_INPUT_AHEAD_F16, BACKWARD_INPUT_BLOCKS_F16, BACKWARD_INPUT_F16, BACKWARD_INPUT_LANES_F16,
    BACKWARD_WEIGHT_AHEAD_F16, BACKWARD_WEIGHT_BLOCKS_F16, BACKWARD_WEIGHT_F16, BACKWARD_WEIGHT_LANES_F16,
    FORWARD_AHEAD_F16, FORWARD_BLOCKS_F16, FORWARD_F16, FORWARD_LANES_F16,
};
use super::{Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward};
use crate::op::Variant;
use crate::ops::half::{InHalf, LOSS_SCALE};

impl InHalf for Conv2dForward {
    const NAME: &'static str = "conv2d_forward_f16";
    const HALVES: &'static [&'static str] = &["input", "weight", "output"];

    fn half_variants(&self) -> Vec<Variant> {
        let plain = self.plain(FORWARD_F16, 2);
        if !self.conv.out_channels.is_multiple_of(4) {
            return vec![plain];
        }
        let ahead = self.ahead(FORWARD_AHEAD_F16);
        let blocks = self.blocks(FORWARD_BLOCKS_F16);
        [self.lanes(FORWARD_LANES_F16)].into_iter().chain(ahead).chain([blocks, plain]).collect()
    }
}

impl InHalf for Conv2dBackwardInput {
    const NAME: &'static str = "conv2d_backward_input_f16";
    const HALVES: &'static [&'static str] = &["output_grad", "weight", "input", "input_grad"];

    fn half_variants(&self) -> Vec<Variant> {
        let plain = self.plain(BACKWARD_INPUT_F16, 2);
        if !self.conv.in_channels.is_multiple_of(4) {
            return vec![plain];
        }
        let ahead = self.ahead(BACKWARD_INPUT_AHEAD_F16);
        let blocks = self.blocks(BACKWARD_INPUT_BLOCKS_F16);
        [self.lanes(BACKWARD_INPUT_LANES_F16)].into_iter().chain(ahead).chain([blocks, plain]).collect()
    }
}

impl InHalf for Conv2dBackwardWeight {
    const NAME: &'static str = "conv2d_backward_weight_f16";
    const HALVES: &'static [&'static str] = &["input", "output_grad"];
    const SCALED: &'static [&'static str] = &["weight_grad_partial", "bias_grad_partial"];

    fn scale(&self) -> f64 {
        1.0 / (LOSS_SCALE * self.0.batch as f64)
    }

    fn half_variants(&self) -> Vec<Variant> {
        let blocks = self.blocks(BACKWARD_WEIGHT_BLOCKS_F16);
        let ahead = self.ahead(BACKWARD_WEIGHT_AHEAD_F16);
        let others = [blocks, self.plain(BACKWARD_WEIGHT_F16)];
        [self.lanes(BACKWARD_WEIGHT_LANES_F16)].into_iter().chain(ahead).chain(others).collect()
    }
}
