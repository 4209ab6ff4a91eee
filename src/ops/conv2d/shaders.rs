//! The shaders of a convolution, as lists of their parts.

use crate::op::{Shader, shader};

/// A shader with one invocation for each element or word.
macro_rules! plain {
    ($name:literal: $($part:literal),+) => {
        shader!($name: "shared/stride", "shared/conv2d", $($part),+)
    };
}

/// A shader whose lanes share what they read from textures.
macro_rules! lanes {
    ($name:literal: $texels:literal, $($part:literal),+) => {
        shader!($name: "shared/stride", "shared/conv2d", "shared/runs", "shared/tiles", "shared/texels", $texels,
            "shared/strip_products", $($part),+)
    };
}

/// Such a shader of the forward op: the type of its floats, and how it stores them.
macro_rules! forward_lanes {
    ($name:literal: $texels:literal, $output:literal) => {
        lanes!($name: $texels, "shared/lane_rows", "shared/input_texels", "shared/weight_texels", "shared/run_input",
            "shared/run_weight", "shared/rectifier", $output, "conv2d_forward.lanes")
    };
}

/// One of the input's gradient: the type of its floats, and how it stores them.
macro_rules! backward_input_lanes {
    ($name:literal: $texels:literal, $input_grad:literal) => {
        lanes!($name: $texels, "shared/output_grad_texels", "shared/weight_texels", "shared/input_texels",
            "shared/run_weight", "shared/rectifier_grad", "shared/phases", $input_grad, "conv2d_backward_input.lanes")
    };
}

/// One of the gradients of weights and bias: the type of its floats, and what divides them.
macro_rules! backward_weight_lanes {
    ($name:literal: $texels:literal, $divisors:literal) => {
        lanes!($name: $texels, "shared/lane_rows", "shared/chunks", $divisors, "shared/output_grad_texels",
            "shared/input_texels", "shared/run_input", "shared/put_parameter_grads", "conv2d_backward_weight.lanes")
    };
}

/// A shader whose workgroups share blocks of both factors, in words of some floats.
macro_rules! blocks {
    ($name:literal: $floats:literal, $($part:literal),+) => {
        shader!($name: "shared/stride", "shared/conv2d", "shared/runs", "shared/tiles", "shared/blocks", "shared/outer",
            "shared/block_sums", "shared/block_products", $floats, $($part),+)
    };
}

/// Such a shader of the forward op: the type of its floats, and how it stores them.
macro_rules! forward_blocks {
    ($name:literal: $floats:literal, $texels:literal, $output:literal) => {
        blocks!($name: $floats, "shared/weight_floats", $texels, "shared/rectifier", "shared/output_strips", $output, "conv2d_forward.blocks")
    };
}

/// One of the input's gradient: the type of its floats, and how it stores them.
macro_rules! backward_input_blocks {
    ($name:literal: $floats:literal, $texels:literal, $input_grad:literal) => {
        blocks!($name: $floats, $texels, "shared/rectifier_grad", "shared/phases", "shared/input_strips", $input_grad,
            "conv2d_backward_input.blocks")
    };
}

/// One of the gradients of weights and bias: the type of its floats, and what divides them.
macro_rules! backward_weight_blocks {
    ($name:literal: $floats:literal, $divisors:literal) => {
        blocks!($name: $floats, "shared/output_grad_floats", "shared/chunks", "shared/chunk_products", $divisors,
            "shared/put_parameter_grads",
            "conv2d_backward_weight.blocks")
    };
}

/// A shader whose invocations load a slice of a product's terms while they sum the one before, four floats at a time.
macro_rules! ahead {
    ($name:literal: $texels:literal, $($part:literal),+) => {
        shader!($name: "shared/stride", "shared/conv2d", "shared/runs", "shared/tiles", "shared/blocks", "shared/outer",
            "shared/block_sums", "shared/block_products_ahead", "shared/fours_ahead", $texels, $($part),+)
    };
}

/// Such a shader of each op.
macro_rules! forward_ahead {
    ($name:literal: $texels:literal) => {
        ahead!($name: $texels, "shared/columns_ahead", "shared/weights_ahead", "shared/rectifier", "shared/output_strips", "shared/output_fours",
            "conv2d_forward.ahead")
    };
}
macro_rules! backward_input_ahead {
    ($name:literal: $texels:literal) => {
        ahead!($name: $texels, "shared/transposed_weights_ahead", "shared/rectifier_grad", "shared/phases",
            "shared/input_strips", "shared/input_grad_fours", "conv2d_backward_input.ahead")
    };
}
macro_rules! backward_weight_ahead {
    ($name:literal: $texels:literal, $divisors:literal) => {
        ahead!($name: $texels, "shared/columns_ahead", "shared/chunks", "shared/chunk_products", $divisors, "shared/put_parameter_grads", "conv2d_backward_weight.ahead")
    };
}

pub(super) const FORWARD: Shader =
    plain!("conv2d_forward": "shared/rectifier", "shared/linear", "shared/floats_f32", "conv2d_forward");
pub(super) const FORWARD_LANES: Shader =
    forward_lanes!("conv2d_forward.lanes": "shared/texels_f32", "shared/output_fours");
pub(super) const FORWARD_LANES_ANY: Shader =
    forward_lanes!("conv2d_forward.lanes_any": "shared/texels_f32", "shared/output_floats");
pub(super) const FORWARD_AHEAD: Shader = forward_ahead!("conv2d_forward.ahead": "shared/texels_f32");
pub(super) const FORWARD_BLOCKS: Shader =
    forward_blocks!("conv2d_forward.blocks": "shared/floats_f32", "shared/texels_f32", "shared/output_fours");
pub(super) const FORWARD_BLOCKS_ANY: Shader =
    forward_blocks!("conv2d_forward.blocks_any": "shared/floats_f32", "shared/texels_f32", "shared/output_floats");
pub(super) const FORWARD_F16: Shader =
    plain!("conv2d_forward_f16": "shared/rectifier", "shared/linear", "shared/floats_f16", "conv2d_forward");
pub(super) const FORWARD_LANES_F16: Shader =
    forward_lanes!("conv2d_forward_f16.lanes": "shared/texels_f16", "shared/output_fours");
pub(super) const FORWARD_AHEAD_F16: Shader = forward_ahead!("conv2d_forward_f16.ahead": "shared/texels_f16");
pub(super) const FORWARD_BLOCKS_F16: Shader =
    forward_blocks!("conv2d_forward_f16.blocks": "shared/floats_f16", "shared/texels_f16", "shared/output_fours");

pub(super) const BACKWARD_INPUT: Shader = plain!("conv2d_backward_input":
    "shared/rectifier_grad", "shared/linear", "shared/floats_f32", "conv2d_backward_input");
pub(super) const BACKWARD_INPUT_LANES: Shader =
    backward_input_lanes!("conv2d_backward_input.lanes": "shared/texels_f32", "shared/input_grad_fours");
pub(super) const BACKWARD_INPUT_LANES_ANY: Shader =
    backward_input_lanes!("conv2d_backward_input.lanes_any": "shared/texels_f32", "shared/input_grad_floats");
pub(super) const BACKWARD_INPUT_AHEAD: Shader =
    backward_input_ahead!("conv2d_backward_input.ahead": "shared/texels_f32");
pub(super) const BACKWARD_INPUT_BLOCKS: Shader = backward_input_blocks!("conv2d_backward_input.blocks":
    "shared/floats_f32", "shared/texels_f32", "shared/input_grad_fours");
pub(super) const BACKWARD_INPUT_BLOCKS_ANY: Shader = backward_input_blocks!("conv2d_backward_input.blocks_any":
    "shared/floats_f32", "shared/texels_f32", "shared/input_grad_floats");
pub(super) const BACKWARD_INPUT_F16: Shader = plain!("conv2d_backward_input_f16":
    "shared/rectifier_grad", "shared/linear", "shared/floats_f16", "conv2d_backward_input");
pub(super) const BACKWARD_INPUT_LANES_F16: Shader =
    backward_input_lanes!("conv2d_backward_input_f16.lanes": "shared/texels_f16", "shared/input_grad_fours");
pub(super) const BACKWARD_INPUT_AHEAD_F16: Shader =
    backward_input_ahead!("conv2d_backward_input_f16.ahead": "shared/texels_f16");
pub(super) const BACKWARD_INPUT_BLOCKS_F16: Shader = backward_input_blocks!("conv2d_backward_input_f16.blocks":
    "shared/floats_f16", "shared/texels_f16", "shared/input_grad_fours");

pub(super) const BACKWARD_WEIGHT: Shader = plain!("conv2d_backward_weight":
    "shared/chunks", "shared/grad_divisors_f32", "shared/parameter_elements", "shared/linear", "shared/floats_f32",
    "conv2d_backward_weight");
pub(super) const BACKWARD_WEIGHT_LANES: Shader =
    backward_weight_lanes!("conv2d_backward_weight.lanes": "shared/texels_f32", "shared/grad_divisors_f32");
pub(super) const BACKWARD_WEIGHT_AHEAD: Shader =
    backward_weight_ahead!("conv2d_backward_weight.ahead": "shared/texels_f32", "shared/grad_divisors_f32");
pub(super) const BACKWARD_WEIGHT_BLOCKS: Shader =
    backward_weight_blocks!("conv2d_backward_weight.blocks": "shared/floats_f32", "shared/grad_divisors_f32");
pub(super) const BACKWARD_WEIGHT_F16: Shader = plain!("conv2d_backward_weight_f16":
    "shared/chunks", "shared/grad_divisors_f16", "shared/parameter_elements", "shared/linear", "shared/floats_f16",
    "conv2d_backward_weight");
pub(super) const BACKWARD_WEIGHT_LANES_F16: Shader =
    backward_weight_lanes!("conv2d_backward_weight_f16.lanes": "shared/texels_f16", "shared/grad_divisors_f16");
pub(super) const BACKWARD_WEIGHT_AHEAD_F16: Shader =
    backward_weight_ahead!("conv2d_backward_weight_f16.ahead": "shared/texels_f16", "shared/grad_divisors_f16");
pub(super) const BACKWARD_WEIGHT_BLOCKS_F16: Shader =
    backward_weight_blocks!("conv2d_backward_weight_f16.blocks": "shared/floats_f16", "shared/grad_divisors_f16");
