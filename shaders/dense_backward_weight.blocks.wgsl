// Gradients of a dense (fully connected) layer's parameters, for GPUs and for software without subgroups.
//
//   weight_grad[k,o] = sum over n of input[n,k] * output_grad[n,o]
//   bias_grad[o]     = sum over n of output_grad[n,o]
//
// A workgroup has a tile of 32 inputs by 32 outputs. Each invocation has four by four, in registers, over a quarter of the
// samples. 32 samples at a time, the workgroup puts both factors into its memory, each invocation four numbers of either, while
// it fetches the next ones; then each sample is an outer product of four by four. The parts of a sum are added in pairs at the
// end. Needs numbers of inputs and of outputs that are multiples of 4.
// Parts: tiles, dense, floats_f16 or floats_f32, texels_f16 or texels_f32, grad_divisors_f16 or grad_divisors_f32, outer,
// dense_blocks, dense_gradient_blocks, split_sums.
// CPU twin: DenseBackwardWeight in src/ops/dense/backward.rs.

@group(0) @binding(2) var<storage, read_write> weight_grad: array<vec4<f32>>;  // [inputs, outputs]
@group(0) @binding(3) var<storage, read_write> bias_grad: array<vec4<f32>>;    // [outputs]

fn store(k: u32, quad: u32, sums: vec4<f32>) {
    if k < inputs && quad < out_quads { weight_grad[k * out_quads + quad] = sums / parameter_divisor; }
}

@compute @workgroup_size(workgroup_size)
fn dense_backward_weight(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // No invocation may leave early: those beyond the last input or output help to load, and store nothing.
    let block = tile_index(group, groups);
    let first_column = block % out_blocks * side;
    let first_row = block / out_blocks * side;
    // What this invocation fetches of a slice: of a sample, a quad of outputs and one of inputs.
    let n = local / side;
    let quad = local % side;
    var next_columns = grads_of_outputs(n, first_column + quad);
    var next_rows = inputs_at(n, first_row + quad);

    let column = local % side;
    let place = local % tile / side;
    let split = local / tile;
    var column_sums = vec4(0.0);
    var sums = mat4x4<f32>();
    for (var first = 0u; first < batch; first += slice) {
        columns[n * pitch + quad] = next_columns;
        rows[n * pitch + quad] = next_rows;
        workgroupBarrier();
        column_sums += next_columns;
        next_columns = grads_of_outputs(first + slice + n, first_column + quad);
        next_rows = inputs_at(first + slice + n, first_row + quad);
        for (var term = split; term < slice; term += splits) {
            sums += outer(columns[term * pitch + column], rows[term * pitch + place]);
        }
        workgroupBarrier();
    }

    let k = 4u * (first_row + place);
    // Invocations of the other splits have parts of sums, which they must not store.
    let own_column = select(out_quads, first_column + column, split == 0u);
    store(k, own_column, total(local, sums[0], tile));
    store(k + 1u, own_column, total(local, sums[1], tile));
    store(k + 2u, own_column, total(local, sums[2], tile));
    store(k + 3u, own_column, total(local, sums[3], tile));
    let bias_sum = total(local, column_sums, side);
    if first_row == 0u && local < side && first_column + column < out_quads {
        bias_grad[first_column + column] = bias_sum / parameter_divisor;
    }
}
