//! Kernels that are one file for two variants: `plain` has a word of its row for each invocation, `quad` four
//! neighbouring elements. The parts `shared/single` and `shared/quad` say what its `Numbers` are, in 32 or in 16 bits.

use crate::op::{Shader, Variant};

/// The two shaders of such a file: `plain_and_quad!(f32 "relu_forward" "relu_forward.quad": "shared/rectifier",
/// "relu_forward")`, with the parts after those of the numbers, and the file last.
macro_rules! plain_and_quad {
    (f32 $plain:literal $quad:literal: $($part:literal),+) => {
        $crate::ops::fours::plain_and_quad!("shared/floats_f32" "shared/texels_f32" $plain $quad: $($part),+)
    };
    (f16 $plain:literal $quad:literal: $($part:literal),+) => {
        $crate::ops::fours::plain_and_quad!("shared/floats_f16" "shared/texels_f16" $plain $quad: $($part),+)
    };
    ($floats:literal $texels:literal $plain:literal $quad:literal: $($part:literal),+) => {
        [
            $crate::shader::shader!($plain: "shared/linear", $floats, "shared/single", $($part),+),
            $crate::shader::shader!($quad: "shared/linear", $texels, "shared/quad", $($part),+),
        ]
    };
}
pub(super) use plain_and_quad;

/// The variants of these shaders: `quad` where a row of `row` elements is a whole number of fours, then `plain`, whose
/// words have
/// `floats` elements. `variant` is that of a shader with so many elements for an invocation.
pub(super) fn in_fours(
    [plain, quad]: [Shader; 2],
    row: usize,
    floats: usize,
    variant: impl Fn(Shader, usize) -> Variant,
) -> Vec<Variant> {
    let quad = row.is_multiple_of(4).then(|| variant(quad, 4));
    quad.into_iter().chain([variant(plain, floats)]).collect()
}
