// Gradients of a dense (fully connected) layer's parameters.
//
//   weight_grad[k,o] = sum over n of input[n,k] * output_grad[n,o]
//   bias_grad[o]     = sum over n of output_grad[n,o]
//
// A workgroup has 32 inputs, and each of its invocations four neighbouring outputs. Each of 8 lanes loads four inputs for all.
// Needs subgroups of 8 lanes or more.
//
// Parts: tiles, dense, texels, texels_f16 or texels_f32, input_texels, grad_divisors_f16 or grad_divisors_f32,
// output_grad_texels, dense_backward_texels, dense_parameter_grads, dense_weight_grads, lane_sums, put_sums,
// dense_weight_tiles.
// CPU twin: DenseBackwardWeight in src/ops/dense/backward.rs.

fn put(row: u32, column: u32, sums: vec4<f32>) {
    store_weight_grads(row, column, sums);
}

@compute @workgroup_size(workgroup_size)
fn dense_backward_weight(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last output help to load, and store nothing.
    let tile = tile_index(group, groups);
    let o = (tile % output_blocks * workgroup_size + local) * 4u;
    let first = tile / output_blocks * 32u;
    sum_weight_grads(first, o, lane);
    put_sums(first, o);
}
