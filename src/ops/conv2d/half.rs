//! A convolution in half precision.

use super::{Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward};
use crate::op::{Variant, shader};
use crate::ops::half::{InHalf, LOSS_SCALE};

impl InHalf for Conv2dForward {
    const NAME: &'static str = "conv2d_forward_f16";
    const HALVES: &'static [&'static str] = &["input", "weight", "output"];

    fn half_variants(&self) -> Vec<Variant> {
        let plain = shader!("conv2d_forward_f16":
            "shared/stride", "shared/conv2d", "shared/rectifier", "shared/linear", "shared/floats_f16",
            "conv2d_forward");
        vec![self.plain(plain, 2)]
    }
}

impl InHalf for Conv2dBackwardInput {
    const NAME: &'static str = "conv2d_backward_input_f16";
    const HALVES: &'static [&'static str] = &["output_grad", "weight", "input", "input_grad"];

    fn half_variants(&self) -> Vec<Variant> {
        let plain = shader!("conv2d_backward_input_f16":
            "shared/stride", "shared/conv2d", "shared/rectifier_grad", "shared/linear", "shared/floats_f16",
            "conv2d_backward_input");
        vec![self.plain(plain, 2)]
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
        let plain = shader!("conv2d_backward_weight_f16":
            "shared/stride", "shared/conv2d", "shared/chunks", "shared/grad_divisors_f16", "shared/linear",
            "shared/floats_f16", "conv2d_backward_weight");
        vec![self.plain(plain)]
    }
}
