//! The shaders of a convolution, ReLU and max-pooling, as lists of their parts.

use crate::op::{Shader, shader};

/// A shader with the sizes of the block.
macro_rules! block {
    ($name:literal: $($part:literal),+) => {
        shader!($name: "shared/conv2d", "shared/runs", "shared/conv_relu_pool", $($part),+)
    };
}

/// A shader whose lanes share what they read from textures.
macro_rules! lanes {
    ($name:literal: $($part:literal),+) => {
        block!($name: "shared/tiles", "shared/lane_products", "shared/texels", $($part),+)
    };
}

/// Such a shader of the forward op: the type of its floats, how it stores them, and the kernel.
macro_rules! forward {
    ($name:literal: $texels:literal, $output:literal, $kernel:literal) => {
        lanes!($name: $texels, "shared/input_texels", "shared/weight_texels", "shared/run_input", "shared/run_weight",
            "shared/maxima", $output, $kernel)
    };
}

/// One of the weights' gradient: the type of its floats, what scales the gradient, and the kernel.
macro_rules! backward_weight {
    ($name:literal: $texels:literal, $loss:literal, $($kernel:literal),+) => {
        lanes!($name: "shared/chunks", $texels, $loss, "shared/input_texels", "shared/output_grad_texels",
            "shared/run_input", "shared/window_grads", $($kernel),+)
    };
}

/// One of the input's gradient: the type of its floats, how it stores them, and the kernel.
macro_rules! backward_input {
    ($name:literal: $texels:literal, $($kernel:literal),+) => {
        lanes!($name: $texels, "shared/weight_texels", "shared/output_grad_texels", "shared/run_weight",
            "shared/window_grads", $($kernel),+)
    };
}

/// A shader of the forward op whose workgroups share blocks of both factors: the types of its floats and of its fours.
macro_rules! forward_blocks {
    ($name:literal: $floats:literal, $texels:literal) => {
        block!($name: "shared/tiles", "shared/blocks", "shared/outer", "shared/block_sums", "shared/block_products", $floats,
            $texels, "shared/maxima", "shared/maxima_fours", "conv_relu_pool_forward.blocks")
    };
}

/// One of the input's gradient: the type of its fours.
macro_rules! backward_input_blocks {
    ($name:literal: $texels:literal) => {
        block!($name: "shared/tiles", "shared/blocks", "shared/outer", "shared/block_sums", $texels, "shared/input_squares",
            "shared/own_square", "shared/input_grad_fours", "conv_relu_pool_backward_input.blocks")
    };
}

/// A shader whose invocations load a slice of a product's terms while they sum the one before.
macro_rules! ahead {
    ($name:literal: $($part:literal),+) => {
        block!($name: "shared/tiles", "shared/blocks", "shared/outer", "shared/block_sums", "shared/block_products_ahead",
            $($part),+)
    };
}

/// Such a shader of the forward op and of the input's gradient: the type of its fours.
macro_rules! forward_ahead {
    ($name:literal: $texels:literal) => {
        ahead!($name: "shared/fours_ahead", $texels, "shared/columns_ahead", "shared/weights_ahead", "shared/maxima",
            "shared/maxima_fours", "conv_relu_pool_forward.ahead")
    };
}
macro_rules! backward_input_ahead {
    ($name:literal: $texels:literal) => {
        ahead!($name: $texels, "shared/transposed_weights_ahead", "shared/input_squares", "shared/own_square",
            "shared/input_grad_fours", "conv_relu_pool_backward_input.ahead")
    };
}

/// The shaders of the weights' gradient that gather four input channels at a time, or one.
macro_rules! gather {
    ($fours:literal, $floats:literal: $($part:literal),+) => {
        [gather!($fours, "shared/pixels_fours", $($part),+), gather!($floats, "shared/pixels_floats", $($part),+)]
    };
    ($name:literal, $pixels:literal, $($part:literal),+) => {
        block!($name: "shared/chunks", "shared/tiles", $($part),+, $pixels, "conv_relu_pool_backward_weight.gather")
    };
}

/// The shaders for matrix units of 16x16 and of 8x8.
macro_rules! matrix {
    ($name16:literal, $name8:literal: $($part:literal),+) => {
        [matrix!($name16, "shared/matrix16", $($part),+), matrix!($name8, "shared/matrix8", $($part),+)]
    };
    // The size comes first, since it begins with directives.
    ($name:literal, $size:literal, $($part:literal),+) => {
        shader!($name: $size, "shared/matrices", "shared/conv2d", "shared/runs", "shared/conv_relu_pool", "shared/tiles",
            "shared/texels_f16", $($part),+)
    };
}

pub(super) const FORWARD: Shader =
    block!("conv_relu_pool_forward": "shared/linear", "shared/floats_f32", "conv_relu_pool_forward");
pub(super) const FORWARD_LANES: Shader = forward!("conv_relu_pool_forward.lanes":
    "shared/texels_f32", "shared/maxima_fours", "conv_relu_pool_forward.lanes");
pub(super) const FORWARD_LANES_ANY: Shader = forward!("conv_relu_pool_forward.lanes_any":
    "shared/texels_f32", "shared/maxima_floats", "conv_relu_pool_forward.lanes");
pub(super) const FORWARD_LANES_WINOGRAD: Shader = forward!("conv_relu_pool_forward.lanes_winograd":
    "shared/texels_f32", "shared/maxima_fours", "conv_relu_pool_forward.lanes_winograd");
pub(super) const FORWARD_LANES_3X3_GREY: Shader = forward!("conv_relu_pool_forward.lanes_3x3_grey":
    "shared/texels_f32", "shared/maxima_fours", "conv_relu_pool_forward.lanes_3x3_grey");
pub(super) const FORWARD_BLOCKS: Shader =
    forward_blocks!("conv_relu_pool_forward.blocks": "shared/floats_f32", "shared/texels_f32");
pub(super) const FORWARD_AHEAD: Shader = forward_ahead!("conv_relu_pool_forward.ahead": "shared/texels_f32");
pub(super) const FORWARD_F16: Shader =
    block!("conv_relu_pool_forward_f16": "shared/linear", "shared/floats_f16", "conv_relu_pool_forward");
pub(super) const FORWARD_LANES_F16: Shader = forward!("conv_relu_pool_forward_f16.lanes":
    "shared/texels_f16", "shared/maxima_fours", "conv_relu_pool_forward.lanes");
pub(super) const FORWARD_BLOCKS_F16: Shader =
    forward_blocks!("conv_relu_pool_forward_f16.blocks": "shared/floats_f16", "shared/texels_f16");
pub(super) const FORWARD_AHEAD_F16: Shader = forward_ahead!("conv_relu_pool_forward_f16.ahead": "shared/texels_f16");
pub(super) const FORWARD_MATRIX_F16: [Shader; 2] = matrix!(
    "conv_relu_pool_forward_f16.matrix16", "conv_relu_pool_forward_f16.matrix8":
    "shared/maxima", "shared/maxima_fours", "conv_relu_pool_forward.matrix");

pub(super) const BACKWARD_WEIGHT: Shader = block!("conv_relu_pool_backward_weight":
    "shared/chunks", "shared/grad_divisors_f32", "shared/parameter_elements", "shared/linear", "shared/floats_f32",
    "conv_relu_pool_backward_weight");
pub(super) const BACKWARD_WEIGHT_LANES: Shader = backward_weight!("conv_relu_pool_backward_weight.lanes":
    "shared/texels_f32", "shared/grad_divisors_f32", "shared/put_parameter_grads",
    "conv_relu_pool_backward_weight.lanes");
pub(super) const BACKWARD_WEIGHT_LANES_3X3: Shader = backward_weight!("conv_relu_pool_backward_weight.lanes_3x3":
    "shared/texels_f32", "shared/grad_divisors_f32", "shared/inputs_at_maxima", "conv_relu_pool_backward_weight.lanes_3x3");
pub(super) const BACKWARD_WEIGHT_LANES_3X3_GREY: Shader = backward_weight!("conv_relu_pool_backward_weight.lanes_3x3_grey":
        "shared/texels_f32", "shared/grad_divisors_f32", "shared/inputs_at_maxima", "conv_relu_pool_backward_weight.lanes_3x3_grey");
pub(super) const BACKWARD_WEIGHT_BLOCKS: Shader = block!("conv_relu_pool_backward_weight.blocks":
    "shared/chunks", "shared/tiles", "shared/split_sums", "conv_relu_pool_backward_weight.blocks");
pub(super) const BACKWARD_WEIGHT_GATHER: [Shader; 2] = gather!(
    "conv_relu_pool_backward_weight.gather", "conv_relu_pool_backward_weight.gather_any":
    "shared/floats_f32", "shared/texels_f32", "shared/grad_divisors_f32");
pub(super) const BACKWARD_WEIGHT_F16: Shader = block!("conv_relu_pool_backward_weight_f16":
    "shared/chunks", "shared/grad_divisors_f16", "shared/parameter_elements", "shared/linear", "shared/floats_f16",
    "conv_relu_pool_backward_weight");
pub(super) const BACKWARD_WEIGHT_LANES_F16: Shader = backward_weight!("conv_relu_pool_backward_weight_f16.lanes":
    "shared/texels_f16", "shared/grad_divisors_f16", "shared/put_parameter_grads",
    "conv_relu_pool_backward_weight.lanes");
pub(super) const BACKWARD_WEIGHT_GATHER_F16: [Shader; 2] = gather!(
    "conv_relu_pool_backward_weight_f16.gather", "conv_relu_pool_backward_weight_f16.gather_any":
    "shared/floats_f16", "shared/texels_f16", "shared/grad_divisors_f16");
pub(super) const BACKWARD_WEIGHT_MATRIX_F16: [Shader; 2] = matrix!(
    "conv_relu_pool_backward_weight_f16.matrix16", "conv_relu_pool_backward_weight_f16.matrix8":
    "shared/chunks", "shared/grad_divisors_f16", "conv_relu_pool_backward_weight.matrix");

pub(super) const BACKWARD_INPUT: Shader =
    block!("conv_relu_pool_backward_input": "shared/linear", "shared/floats_f32", "conv_relu_pool_backward_input");
pub(super) const BACKWARD_INPUT_LANES: Shader = backward_input!("conv_relu_pool_backward_input.lanes":
    "shared/texels_f32", "shared/input_squares", "shared/input_grad_fours", "conv_relu_pool_backward_input.lanes");
pub(super) const BACKWARD_INPUT_LANES_ANY: Shader = backward_input!("conv_relu_pool_backward_input.lanes_any":
    "shared/texels_f32", "shared/input_squares", "shared/input_grad_floats", "conv_relu_pool_backward_input.lanes");
pub(super) const BACKWARD_INPUT_LANES_WINOGRAD: Shader = backward_input!("conv_relu_pool_backward_input.lanes_winograd":
        "shared/texels_f32", "conv_relu_pool_backward_input.lanes_winograd");
pub(super) const BACKWARD_INPUT_BLOCKS: Shader =
    backward_input_blocks!("conv_relu_pool_backward_input.blocks": "shared/texels_f32");
pub(super) const BACKWARD_INPUT_AHEAD: Shader =
    backward_input_ahead!("conv_relu_pool_backward_input.ahead": "shared/texels_f32");
pub(super) const BACKWARD_INPUT_F16: Shader =
    block!("conv_relu_pool_backward_input_f16": "shared/linear", "shared/floats_f16", "conv_relu_pool_backward_input");
pub(super) const BACKWARD_INPUT_LANES_F16: Shader = backward_input!("conv_relu_pool_backward_input_f16.lanes":
    "shared/texels_f16", "shared/input_squares", "shared/input_grad_fours", "conv_relu_pool_backward_input.lanes");
pub(super) const BACKWARD_INPUT_BLOCKS_F16: Shader =
    backward_input_blocks!("conv_relu_pool_backward_input_f16.blocks": "shared/texels_f16");
pub(super) const BACKWARD_INPUT_AHEAD_F16: Shader =
    backward_input_ahead!("conv_relu_pool_backward_input_f16.ahead": "shared/texels_f16");
pub(super) const BACKWARD_INPUT_MATRIX_F16: [Shader; 2] = matrix!(
    "conv_relu_pool_backward_input_f16.matrix16", "conv_relu_pool_backward_input_f16.matrix8":
    "conv_relu_pool_backward_input.matrix");
