// All gradients of a dense (fully connected) layer. That of the input is the gradient before the rectifier that made the input.
//
//   weight_grad[k,o] = sum over n of input[n,k] * output_grad[n,o]
//   bias_grad[o]     = sum over n of output_grad[n,o]
//   input_grad[n,k]  = sum over o of output_grad[n,o] * weight[k,o], times the slope where input[n,k] is not above 0
//
// A workgroup has a tile of the weights' gradient, 32 inputs in all, of which each invocation has four neighbouring outputs;
// or, after these, a tile of the inputs' gradient, 32 samples in all, of which each invocation has four neighbouring inputs.
// Each of 8 lanes loads the factors of four inputs, or four samples, for all. Needs subgroups of 8 lanes or more.
//
// Parts: tiles, dense, texels, texels_f16 or texels_f32, input_texels, grad_divisors_f16 or grad_divisors_f32,
// output_grad_texels, dense_backward_texels, dense_parameter_grads, floats_f16 or floats_f32, dense_weights, weight_texels,
// dense_weight_texels, dense_all_grads, rectifier_grad, lane_sums, put_sums, dense_weight_tiles.
// CPU twin: DenseBackward in src/ops/dense/backward.rs.

override input_blocks: u32 = (inputs + 4u * workgroup_size - 1u) / (4u * workgroup_size);

@group(0) @binding(5) var<storage, read_write> input_grad: array<Word>;  // [batch, inputs]

/// Whether the workgroup's tile is one of the weights' gradient.
var<private> is_weight: bool;

fn put(row: u32, column: u32, sums: vec4<f32>) {
    if is_weight {
        store_weight_grads(row, column, sums);
    } else if row < batch {
        let grads = grad_before(sums, input_at(row, column));
        for (var j = 0u; j < 4u; j += FLOATS_PER_WORD) {
            if column + j < inputs { input_grad[(row * inputs + column + j) / FLOATS_PER_WORD] = word_of(grads, j); }
        }
    }
}

/// Four outputs' gradients in each of four samples.
fn output_grads_at(n: u32, o: u32) -> mat4x4<f32> {
    return mat4x4(output_grad_at(n, o), output_grad_at(n + 1u, o), output_grad_at(n + 2u, o), output_grad_at(n + 3u, o));
}

/// The sums over outputs of products of the gradients of four samples of each lane and the weights of four inputs.
fn sum_input_grads(first: u32, k: u32, lane: u32) {
    let n = first + lane % 8u * 4u;
    fill_sums(vec4(0.0));
    for (var o = 0u; o < outputs; o += 8u) {
        let w0 = transpose(weights_at(k, o));
        let w4 = transpose(weights_at(k, o + 4u));
        columns = array(w0[0], w0[1], w0[2], w0[3], w4[0], w4[1], w4[2], w4[3]);
        add_products(output_grads_at(n, o), output_grads_at(n, o + 4u));
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
        sum_weight_grads(first, column, lane);
    } else {
        sum_input_grads(first, column, lane);
    }
    put_sums(first, column);
}
