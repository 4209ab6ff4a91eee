// All gradients of a dense (fully connected) layer of at most 12 outputs, such as a classifier's. That of the input is the
// gradient before the rectifier that made the input.
//
//   weight_grad[k,o] = sum over n of input[n,k] * output_grad[n,o]
//   bias_grad[o]     = sum over n of output_grad[n,o]
//   input_grad[n,k]  = sum over o of output_grad[n,o] * weight[k,o], times the slope where input[n,k] is not above 0
//
// Each invocation has four neighbouring inputs in all samples: their weights and the gradients of these, three tiles of 4 by
// 4 of each, stay in registers, and eight samples at a time pass by as products of 4x4 matrices. All invocations need the same
// output gradients at a time: each of the first 8 lanes loads those of one sample and broadcasts them to the others. Needs
// subgroups of 8 lanes or more, and a number of inputs that is a multiple of 4.
//
// Parts: tiles, dense, texels, texels_f16 or texels_f32, input_texels, grad_divisors_f16 or grad_divisors_f32,
// output_grad_texels, dense_backward_texels, dense_parameter_grads, dense_weights, weight_texels, dense_weight_texels,
// dense_all_grads, rectifier_grad, dense_narrow_grads.
// CPU twin: DenseBackward in src/ops/dense/backward.rs.

@group(0) @binding(5) var<storage, read_write> input_grad: array<Four>;  // [batch, inputs]

/// The weights of four inputs, and the sums of their gradients.
var<private> weights: array<mat4x4<f32>, 3>;
var<private> sums: array<mat4x4<f32>, 3>;
var<private> bias_sums: mat3x4<f32>;

/// Adds the products of four samples from `n` on, with three quads of gradients, and stores the gradients of their inputs.
fn take_samples(n: u32, k: u32, g0: mat4x4<f32>, g1: mat4x4<f32>, g2: mat4x4<f32>) {
    let values = mat4x4(input_at(n, k), input_at(n + 1u, k), input_at(n + 2u, k), input_at(n + 3u, k));
    sums[0] += g0 * transpose(values);
    sums[1] += g1 * transpose(values);
    sums[2] += g2 * transpose(values);
    bias_sums += mat3x4(g0 * vec4(1.0), g1 * vec4(1.0), g2 * vec4(1.0));
    let grads = transpose(weights[0]) * g0 + transpose(weights[1]) * g1 + transpose(weights[2]) * g2;
    store_input(n, k, values[0], grads[0]);
    store_input(n + 1u, k, values[1], grads[1]);
    store_input(n + 2u, k, values[2], grads[2]);
    store_input(n + 3u, k, values[3], grads[3]);
}

fn store_input(n: u32, k: u32, value: vec4<f32>, grad: vec4<f32>) {
    if n < batch && k < inputs {
        input_grad[(n * inputs + k) / 4u] = packed(grad_before(grad, value));
    }
}

/// What the first four lanes have loaded.
fn of_first_lanes(p: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(subgroupBroadcast(p, 0u), subgroupBroadcast(p, 1u), subgroupBroadcast(p, 2u), subgroupBroadcast(p, 3u));
}

/// What the next four lanes have loaded.
fn of_next_lanes(p: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(subgroupBroadcast(p, 4u), subgroupBroadcast(p, 5u), subgroupBroadcast(p, 6u), subgroupBroadcast(p, 7u));
}

@compute @workgroup_size(workgroup_size)
fn dense_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last input help to load gradients, and store nothing.
    let k = (tile_index(group, groups) * workgroup_size + local) * 4u;
    weights = array(weights_at(k, 0u), weights_at(k, 4u), weights_at(k, 8u));
    for (var n = 0u; n < batch; n += 8u) {
        let own = n + lane % 8u;
        let p0 = output_grad_at(own, 0u);
        let p1 = output_grad_at(own, 4u);
        let p2 = output_grad_at(own, 8u);
        take_samples(n, k, of_first_lanes(p0), of_first_lanes(p1), of_first_lanes(p2));
        take_samples(n + 4u, k, of_next_lanes(p0), of_next_lanes(p1), of_next_lanes(p2));
    }
    store_tiles(k, sums[0], sums[1], sums[2], bias_sums);
}
