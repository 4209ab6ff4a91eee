// All gradients of a dense (fully connected) layer. That of the input is the gradient before the rectifier that made the input.
//
//   weight_grad[k,o] = sum over n of input[n,k] * output_grad[n,o]
//   bias_grad[o]     = sum over n of output_grad[n,o]
//   input_grad[n,k]  = sum over o of output_grad[n,o] * weight[k,o], times the slope where input[n,k] is not above 0
//
// A workgroup has a tile of the weights' gradient, 32 inputs in all, of which each invocation has four neighbouring outputs;
// or, after these, a tile of the inputs' gradient, 32 samples in all, of which each invocation has four neighbouring inputs.
// Either is 8 tiles of 4 by 4 in registers, and each takes one product of 4x4 matrices for four samples, or four outputs, at
// a time. Each of 8 lanes loads a matrix of factors for all. Needs subgroups of 8 lanes or more.
//
// Parts: tiles, dense, dense_weights, texels, texels_f32, input_texels, weight_texels, grad_divisors_f32, output_grad_texels,
// dense_backward_texels, dense_weight_texels, dense_all_grads, dense_parameter_grads, rectifier_grad, lane_products, put_tile,
// put_lane_tiles, dense_weight_tiles.
// CPU twin: DenseBackward in src/ops/dense/backward.rs.

override input_blocks: u32 = (inputs + 4u * workgroup_size - 1u) / (4u * workgroup_size);

@group(0) @binding(5) var<storage, read_write> input_grad: array<f32>;  // [batch, inputs]

/// Whether the workgroup's tile is one of the weights' gradient.
var<private> is_weight: bool;

fn put(row: u32, column: u32, sums: vec4<f32>) {
    if is_weight {
        store_weight_grads(row, column, sums);
    } else if row < batch {
        let grads = grad_before(sums, input_at(row, column));
        for (var j = 0u; j < 4u; j++) {
            if column + j < inputs { input_grad[row * inputs + column + j] = grads[j]; }
        }
    }
}

/// A tile of the inputs' gradient: the sums over outputs of products of those of four samples of each lane and four inputs.
fn backward_input(first: u32, k: u32, lane: u32) {
    let n = first + lane * 4u;
    for (var o = 0u; o < outputs; o += 4u) {
        let grads = mat4x4(output_grad_at(n, o), output_grad_at(n + 1u, o), output_grad_at(n + 2u, o), output_grad_at(n + 3u, o));
        add_products(transpose(weights_at(k, o)), grads);
    }
}

@compute @workgroup_size(workgroup_size)
fn dense_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last output or input help to load, and store nothing.
    let tile = tile_index(group, groups);
    // Compilers see that a local constant is the same for the whole workgroup, as shuffles need, but not that a variable is.
    let is_tile_of_weights = tile < weight_tiles;
    is_weight = is_tile_of_weights;
    let blocks = select(input_blocks, output_blocks, is_tile_of_weights);
    let own = tile - select(weight_tiles, 0u, is_tile_of_weights);
    let column = (own % blocks * workgroup_size + local) * 4u;
    let first = own / blocks * 32u;
    if is_tile_of_weights {
        backward_weight(first, column, lane % 8u);
    } else {
        backward_input(first, column, lane % 8u);
    }
    put_tiles(first, column);
}
