//! The shaders of dense layers and what follows them, as lists of their parts.

use crate::op::{Shader, shader};

/// A plain shader: the type of its floats, and what it has more than a layer's sizes.
macro_rules! plain {
    ($name:literal: $floats:literal, $($part:literal),+) => {
        shader!($name: $floats, "shared/dense", $($part),+)
    };
}

/// A shader whose lanes share what they read from textures: the types of its floats, and what it has more.
macro_rules! lanes {
    ($name:literal: $texels:literal, $($part:literal),+) => {
        shader!($name: "shared/tiles", "shared/dense", "shared/dense_weights", "shared/texels", $texels,
            "shared/input_texels", "shared/weight_texels", $($part),+)
    };
}

/// Such a shader of a layer's outputs.
macro_rules! forward_lanes {
    ($name:literal: $texels:literal, $floats:literal, $($part:literal),+) => {
        lanes!($name: $texels, $floats, "shared/lane_products", "shared/put_tile",
            "shared/put_lane_tiles", "shared/dense_forward_lanes", $($part),+)
    };
}

/// Such a shader of a layer's gradients.
macro_rules! backward_lanes {
    ($name:literal: $texels:literal, $loss:literal, $($part:literal),+) => {
        lanes!($name: $texels, $loss, "shared/output_grad_texels", "shared/dense_backward_lanes",
            "shared/dense_parameter_grads", $($part),+)
    };
}

/// Such a shader for layers of few outputs.
macro_rules! narrow_lanes {
    ($name:literal: $texels:literal, $loss:literal) => {
        backward_lanes!($name: $texels, $loss, "shared/dense_narrow_grads", "dense_relu_backward.lanes_narrow")
    };
}

/// A shader that finishes each sample by one invocation: what the gradient is divided by, and the kernel.
macro_rules! cross_entropy {
    ($kind:ident, $name:literal: $($floats:literal),+; $loss:literal, $($part:literal),+) => {
        $kind!($name: $($floats),+, $loss, "shared/softmax", "shared/logits_grad", "shared/dense_cross_entropy",
            "shared/finish_sample", $($part),+)
    };
}

/// A shader with blocks in workgroup memory, in 32 bits.
macro_rules! blocks {
    ($name:literal: $($part:literal),+) => {
        shader!($name: "shared/tiles", "shared/floats_f32", "shared/dense", "shared/grad_divisors_f32", $($part),+)
    };
}

pub(super) const FORWARD: Shader =
    plain!("dense_relu_forward": "shared/floats_f32", "shared/linear", "shared/dense_sum", "dense_relu_forward");
pub(super) const FORWARD_F16: Shader =
    plain!("dense_relu_forward_f16": "shared/floats_f16", "shared/linear", "shared/dense_sum", "dense_relu_forward");
pub(super) const FORWARD_LANES: Shader = forward_lanes!("dense_relu_forward.lanes":
    "shared/texels_f32", "shared/floats_f32", "dense_relu_forward.lanes");
pub(super) const FORWARD_LANES_F16: Shader = forward_lanes!("dense_relu_forward_f16.lanes":
    "shared/texels_f16", "shared/floats_f16", "dense_relu_forward.lanes");
pub(super) const FORWARD_BLOCKS: Shader = blocks!("dense_relu_forward.blocks":
    "shared/outer", "shared/dense_blocks", "shared/split_sums", "dense_relu_forward.blocks");

pub(super) const CROSS_ENTROPY: Shader = cross_entropy!(plain, "dense_cross_entropy_forward":
    "shared/floats_f32"; "shared/grad_divisors_f32", "shared/tiles", "shared/dense_sum", "dense_cross_entropy_forward");
pub(super) const CROSS_ENTROPY_F16: Shader = cross_entropy!(plain, "dense_cross_entropy_forward_f16":
    "shared/floats_f16"; "shared/grad_divisors_f16", "shared/tiles", "shared/dense_sum", "dense_cross_entropy_forward");
pub(super) const CROSS_ENTROPY_LANES: Shader = cross_entropy!(forward_lanes, "dense_cross_entropy_forward.lanes":
    "shared/texels_f32", "shared/floats_f32"; "shared/grad_divisors_f32", "dense_cross_entropy_forward.lanes");
pub(super) const CROSS_ENTROPY_LANES_F16: Shader = cross_entropy!(forward_lanes, "dense_cross_entropy_forward_f16.lanes":
    "shared/texels_f16", "shared/floats_f16"; "shared/grad_divisors_f16", "dense_cross_entropy_forward.lanes");
pub(super) const CROSS_ENTROPY_BLOCKS: Shader = blocks!("dense_cross_entropy_forward.blocks":
    "shared/softmax", "shared/logits_grad", "shared/dense_cross_entropy", "shared/split_sums",
    "dense_cross_entropy_forward.blocks");

pub(super) const BACKWARD: Shader = plain!("dense_relu_backward": "shared/floats_f32", "shared/linear", "shared/grad_divisors_f32", "dense_relu_backward");
pub(super) const BACKWARD_F16: Shader = plain!("dense_relu_backward_f16": "shared/floats_f16", "shared/linear", "shared/grad_divisors_f16", "dense_relu_backward");
pub(super) const BACKWARD_LANES: Shader = backward_lanes!("dense_relu_backward.lanes":
    "shared/texels_f32", "shared/grad_divisors_f32", "shared/lane_products", "shared/put_tile",
    "shared/put_lane_tiles", "dense_relu_backward.lanes");
pub(super) const BACKWARD_NARROW: Shader =
    narrow_lanes!("dense_relu_backward.lanes_narrow": "shared/texels_f32", "shared/grad_divisors_f32");
pub(super) const BACKWARD_NARROW_F16: Shader =
    narrow_lanes!("dense_relu_backward_f16.lanes_narrow": "shared/texels_f16", "shared/grad_divisors_f16");
pub(super) const BACKWARD_BLOCKS: Shader = blocks!("dense_relu_backward.blocks":
    "shared/outer", "shared/dense_blocks", "shared/split_sums", "dense_relu_backward.blocks");
pub(super) const BACKWARD_BLOCKS_NARROW: Shader = blocks!("dense_relu_backward.blocks_narrow":
    "shared/dense_weights", "shared/outer", "shared/split_sums", "shared/dense_parameter_grads",
    "shared/dense_narrow_grads", "dense_relu_backward.blocks_narrow");
