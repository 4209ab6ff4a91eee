//! Batch normalisation in half precision. Statistics, parameters and their gradients stay in 32 bits.

use super::{Norm, NormApply, NormBackwardInput, NormBackwardSums, NormBackwardWeight, NormMoments, kernels};
use crate::op::{Variant, shader};
use crate::ops::half::{InHalf, LOSS_SCALE};

impl InHalf for NormMoments {
    const NAME: &'static str = "norm_moments_f16";
    const HALVES: &'static [&'static str] = &["input"];

    fn half_variants(&self) -> Vec<Variant> {
        let [plain, quad] = kernels!("norm_moments_f16" "norm_moments_f16.quad": "norm_moments",
            "shared/floats_f16" "shared/texels_f16", "shared/row_chunks");
        self.0.in_chunks(plain, 2, quad)
    }
}

impl InHalf for NormApply {
    const NAME: &'static str = "norm_apply_f16";
    const HALVES: &'static [&'static str] = &["input", "output"];

    fn half_variants(&self) -> Vec<Variant> {
        let [plain, quad] = kernels!("norm_apply_f16" "norm_apply_f16.quad": "norm_apply",
            "shared/floats_f16" "shared/texels_f16", "shared/row_steps", "shared/rectifier");
        self.norm.in_steps(plain, 2, quad)
    }
}

impl InHalf for NormBackwardSums {
    const NAME: &'static str = "norm_backward_sums_f16";
    const HALVES: &'static [&'static str] = &["input", "output_grad"];

    fn half_variants(&self) -> Vec<Variant> {
        let [plain, quad] = kernels!("norm_backward_sums_f16" "norm_backward_sums_f16.quad": "norm_backward_sums",
            "shared/floats_f16" "shared/texels_f16", "shared/row_chunks");
        self.0.in_chunks(plain, 2, quad)
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
        let [plain, quad] = kernels!("norm_backward_input_f16" "norm_backward_input_f16.quad": "norm_backward_input",
            "shared/floats_f16" "shared/texels_f16", "shared/row_steps", "shared/rectifier_grad");
        self.norm.in_steps(plain, 2, quad)
    }
}
