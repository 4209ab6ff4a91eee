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
        shader!($name: "shared/tiles", "shared/dense", "shared/texels", $texels, "shared/input_texels", $($part),+)
    };
}

/// Such a shader of a layer's outputs.
macro_rules! forward_lanes {
    ($name:literal: $texels:literal, $floats:literal, $($part:literal),+) => {
        lanes!($name: $texels, $floats, "shared/weight_texels", "shared/lane_sums", "shared/put_sums",
            "shared/dense_forward_lanes", $($part),+)
    };
}

/// Such a shader of a layer's gradients.
macro_rules! backward_lanes {
    ($name:literal: $texels:literal, $loss:literal, $($part:literal),+) => {
        lanes!($name: $texels, $loss, "shared/output_grad_texels", "shared/dense_backward_texels",
            "shared/dense_parameter_grads", $($part),+)
    };
}

/// Such a shader of the parameters' gradients alone.
macro_rules! weight_lanes {
    ($name:literal: $texels:literal, $loss:literal) => {
        backward_lanes!($name: $texels, $loss, "shared/dense_weight_grads", "shared/lane_sums", "shared/put_sums",
            "shared/dense_weight_tiles", "dense_backward_weight.lanes")
    };
}

/// Such a shader of all gradients.
macro_rules! all_lanes {
    ($name:literal: $texels:literal, $floats:literal, $loss:literal) => {
        backward_lanes!($name: $texels, $loss, $floats, "shared/dense_weights", "shared/weight_texels",
            "shared/dense_weight_texels", "shared/dense_all_grads", "shared/rectifier_grad", "shared/lane_sums",
            "shared/put_sums", "shared/dense_weight_tiles", "dense_backward.lanes")
    };
}

/// Such a shader of all gradients of a layer of few outputs.
macro_rules! narrow_lanes {
    ($name:literal: $texels:literal, $loss:literal) => {
        backward_lanes!($name: $texels, $loss, "shared/dense_weights", "shared/weight_texels", "shared/dense_weight_texels",
            "shared/dense_all_grads", "shared/rectifier_grad", "shared/dense_narrow_grads", "dense_backward.lanes_narrow")
    };
}

/// A shader that finishes each sample by one invocation: what the gradient is divided by, and the kernel.
macro_rules! cross_entropy {
    ($kind:ident, $name:literal: $($floats:literal),+; $loss:literal, $($part:literal),+) => {
        $kind!($name: $($floats),+, $loss, "shared/softmax", "shared/logits_grad", "shared/dense_cross_entropy",
            "shared/finish_sample", $($part),+)
    };
}

/// A shader with blocks in workgroup memory, in 32 bits or in 16.
macro_rules! blocks {
    (f32 $name:literal: $($part:literal),+) => {
        shader!($name: "shared/tiles", "shared/dense", "shared/floats_f32", "shared/texels_f32", $($part),+)
    };
    (f16 $name:literal: $($part:literal),+) => {
        shader!($name: "shared/tiles", "shared/dense", "shared/floats_f16", "shared/texels_f16", $($part),+)
    };
}

/// Such a shader that makes gradients.
macro_rules! gradient_blocks {
    (f32 $name:literal: $($part:literal),+) => {
        blocks!(f32 $name: "shared/grad_divisors_f32", $($part),+)
    };
    (f16 $name:literal: $($part:literal),+) => {
        blocks!(f16 $name: "shared/grad_divisors_f16", $($part),+)
    };
}

/// Such a shader of each op.
macro_rules! forward_blocks {
    ($floats:ident $name:literal) => {
        blocks!($floats $name: "shared/input_floats", "shared/outer", "shared/dense_blocks", "shared/split_sums", "shared/rectifier",
            "dense_forward.blocks")
    };
}
macro_rules! cross_entropy_blocks {
    ($floats:ident $name:literal) => {
        gradient_blocks!($floats $name: "shared/input_floats", "shared/weight_floats", "shared/softmax", "shared/logits_grad", "shared/dense_cross_entropy", "shared/split_sums",
            "dense_cross_entropy_forward.blocks")
    };
}
macro_rules! backward_blocks {
    ($floats:ident $name:literal) => {
        gradient_blocks!($floats $name: "shared/weight_floats", "shared/outer", "shared/dense_blocks", "shared/dense_gradient_blocks", "shared/split_sums",
            "shared/rectifier_grad", "dense_backward.blocks")
    };
}
macro_rules! backward_blocks_narrow {
    ($floats:ident $name:literal) => {
        gradient_blocks!($floats $name: "shared/weight_floats", "shared/output_grad_floats", "shared/dense_weights", "shared/outer", "shared/split_sums", "shared/dense_all_grads",
            "shared/dense_parameter_grads", "shared/rectifier_grad", "shared/dense_narrow_grads",
            "dense_backward.blocks_narrow")
    };
}
macro_rules! backward_weight_blocks {
    ($floats:ident $name:literal) => {
        gradient_blocks!($floats $name: "shared/outer", "shared/dense_blocks", "shared/dense_gradient_blocks", "shared/split_sums",
            "dense_backward_weight.blocks")
    };
}

pub(super) const FORWARD: Shader = plain!("dense_forward":
    "shared/floats_f32", "shared/rectifier", "shared/linear", "shared/dense_sum", "dense_forward");
pub(super) const FORWARD_F16: Shader = plain!("dense_forward_f16":
    "shared/floats_f16", "shared/rectifier", "shared/linear", "shared/dense_sum", "dense_forward");
pub(super) const FORWARD_LANES: Shader = forward_lanes!("dense_forward.lanes":
    "shared/texels_f32", "shared/floats_f32", "shared/rectifier", "dense_forward.lanes");
pub(super) const FORWARD_LANES_F16: Shader = forward_lanes!("dense_forward_f16.lanes":
    "shared/texels_f16", "shared/floats_f16", "shared/rectifier", "dense_forward.lanes");
pub(super) const FORWARD_BLOCKS: Shader = forward_blocks!(f32 "dense_forward.blocks");
pub(super) const FORWARD_BLOCKS_F16: Shader = forward_blocks!(f16 "dense_forward_f16.blocks");

pub(super) const CROSS_ENTROPY: Shader = cross_entropy!(plain, "dense_cross_entropy_forward":
    "shared/floats_f32"; "shared/grad_divisors_f32", "shared/tiles", "shared/dense_sum", "dense_cross_entropy_forward");
pub(super) const CROSS_ENTROPY_F16: Shader = cross_entropy!(plain, "dense_cross_entropy_forward_f16":
    "shared/floats_f16"; "shared/grad_divisors_f16", "shared/tiles", "shared/dense_sum", "dense_cross_entropy_forward");
pub(super) const CROSS_ENTROPY_LANES: Shader = cross_entropy!(forward_lanes, "dense_cross_entropy_forward.lanes":
    "shared/texels_f32", "shared/floats_f32"; "shared/grad_divisors_f32", "dense_cross_entropy_forward.lanes");
pub(super) const CROSS_ENTROPY_LANES_F16: Shader = cross_entropy!(forward_lanes, "dense_cross_entropy_forward_f16.lanes":
    "shared/texels_f16", "shared/floats_f16"; "shared/grad_divisors_f16", "dense_cross_entropy_forward.lanes");
pub(super) const CROSS_ENTROPY_BLOCKS: Shader = cross_entropy_blocks!(f32 "dense_cross_entropy_forward.blocks");
pub(super) const CROSS_ENTROPY_BLOCKS_F16: Shader = cross_entropy_blocks!(f16 "dense_cross_entropy_forward_f16.blocks");

pub(super) const BACKWARD: Shader = plain!("dense_backward": "shared/floats_f32", "shared/linear", "shared/grad_divisors_f32",
    "shared/dense_all_grads", "shared/input_floats", "shared/dense_parameter_sums", "shared/rectifier_grad", "dense_backward");
pub(super) const BACKWARD_F16: Shader = plain!("dense_backward_f16": "shared/floats_f16", "shared/linear",
    "shared/grad_divisors_f16", "shared/dense_all_grads", "shared/input_floats", "shared/dense_parameter_sums", "shared/rectifier_grad",
    "dense_backward");
pub(super) const BACKWARD_LANES: Shader = all_lanes!("dense_backward.lanes":
    "shared/texels_f32", "shared/floats_f32", "shared/grad_divisors_f32");
pub(super) const BACKWARD_LANES_F16: Shader = all_lanes!("dense_backward_f16.lanes":
    "shared/texels_f16", "shared/floats_f16", "shared/grad_divisors_f16");
pub(super) const BACKWARD_NARROW: Shader =
    narrow_lanes!("dense_backward.lanes_narrow": "shared/texels_f32", "shared/grad_divisors_f32");
pub(super) const BACKWARD_NARROW_F16: Shader =
    narrow_lanes!("dense_backward_f16.lanes_narrow": "shared/texels_f16", "shared/grad_divisors_f16");
pub(super) const BACKWARD_BLOCKS: Shader = backward_blocks!(f32 "dense_backward.blocks");
pub(super) const BACKWARD_BLOCKS_F16: Shader = backward_blocks!(f16 "dense_backward_f16.blocks");
pub(super) const BACKWARD_BLOCKS_NARROW: Shader = backward_blocks_narrow!(f32 "dense_backward.blocks_narrow");
pub(super) const BACKWARD_BLOCKS_NARROW_F16: Shader = backward_blocks_narrow!(f16 "dense_backward_f16.blocks_narrow");

pub(super) const BACKWARD_WEIGHT: Shader = plain!("dense_backward_weight": "shared/floats_f32", "shared/linear",
    "shared/grad_divisors_f32", "shared/dense_weight_grads", "shared/input_floats", "shared/dense_parameter_sums", "dense_backward_weight");
pub(super) const BACKWARD_WEIGHT_F16: Shader = plain!("dense_backward_weight_f16": "shared/floats_f16", "shared/linear",
    "shared/grad_divisors_f16", "shared/dense_weight_grads", "shared/input_floats", "shared/dense_parameter_sums", "dense_backward_weight");
pub(super) const BACKWARD_WEIGHT_BLOCKS: Shader = backward_weight_blocks!(f32 "dense_backward_weight.blocks");
pub(super) const BACKWARD_WEIGHT_BLOCKS_F16: Shader = backward_weight_blocks!(f16 "dense_backward_weight_f16.blocks");
pub(super) const BACKWARD_WEIGHT_LANES: Shader =
    weight_lanes!("dense_backward_weight.lanes": "shared/texels_f32", "shared/grad_divisors_f32");
pub(super) const BACKWARD_WEIGHT_LANES_F16: Shader =
    weight_lanes!("dense_backward_weight_f16.lanes": "shared/texels_f16", "shared/grad_divisors_f16");
