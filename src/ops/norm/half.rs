//! Batch normalisation in half precision. Statistics, parameters and their gradients stay in 32 bits.

use super::{Norm, NormApply, NormBackwardInput, NormBackwardSums, NormBackwardWeight, NormMoments};
use crate::op::{Variant, shader};
use crate::ops::fours::plain_and_quad;
use crate::ops::half::{InHalf, LOSS_SCALE};

impl InHalf for NormMoments {
    const NAME: &'static str = "norm_moments_f16";
    const HALVES: &'static [&'static str] = &["input"];

    fn half_variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f16 "norm_moments_f16" "norm_moments_f16.quad": "shared/channels", "shared/norm_rows", "shared/row_chunks", "norm_moments");
        self.0.in_chunks(shaders, 2)
    }
}

impl InHalf for NormApply {
    const NAME: &'static str = "norm_apply_f16";
    const HALVES: &'static [&'static str] = &["input", "output"];

    fn half_variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f16 "norm_apply_f16" "norm_apply_f16.quad": "shared/channels", "shared/norm_rows", "shared/row_steps", "shared/rectifier", "norm_apply");
        self.norm.in_steps(shaders, 2)
    }
}

impl InHalf for NormBackwardSums {
    const NAME: &'static str = "norm_backward_sums_f16";
    const HALVES: &'static [&'static str] = &["input", "output_grad"];

    fn half_variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f16 "norm_backward_sums_f16" "norm_backward_sums_f16.quad": "shared/channels", "shared/norm_rows", "shared/row_chunks", "norm_backward_sums");
        self.0.in_chunks(shaders, 2)
    }
}

impl InHalf for NormBackwardWeight {
    const NAME: &'static str = "norm_backward_weight_f16";
    const HALVES: &'static [&'static str] = &[];
    const SCALED: &'static [&'static str] = &["weight_grad", "bias_grad"];

    fn scale(&self) -> f64 {
        let Norm { batch, .. } = self.0;
        1.0 / (LOSS_SCALE * batch as f64)
    }

    fn half_variants(&self) -> Vec<Variant> {
        let shader = shader!("norm_backward_weight_f16": "shared/linear", "shared/floats_f32", "shared/single",
            "shared/channels", "shared/norm_rows", "shared/row_chunks", "shared/grad_divisors_f16", "norm_backward_weight");
        vec![Variant::linear(shader, self.0.channels, self.0.chunks())]
    }
}

impl InHalf for NormBackwardInput {
    const NAME: &'static str = "norm_backward_input_f16";
    const HALVES: &'static [&'static str] = &["input", "output_grad", "input_grad"];

    fn half_variants(&self) -> Vec<Variant> {
        let shaders = plain_and_quad!(f16 "norm_backward_input_f16" "norm_backward_input_f16.quad": "shared/channels", "shared/norm_rows", "shared/row_steps", "shared/rectifier_grad", "norm_backward_input");
        self.norm.in_steps(shaders, 2)
    }
}
