// All gradients of a dense (fully connected) layer, for GPUs and for software without subgroups. That of the input is the
// gradient before the rectifier that made the input.
//
//   weight_grad[k,o] = sum over n of input[n,k] * output_grad[n,o]
//   bias_grad[o]     = sum over n of output_grad[n,o]
//   input_grad[n,k]  = sum over o of output_grad[n,o] * weight[k,o], times the slope where input[n,k] is not above 0
//
// A workgroup has a tile of the weights' gradient, 32 inputs by 32 outputs; or, after these, a tile of the inputs' gradient,
// 32 samples by 32 inputs. Each invocation has four by four, in registers, over a quarter of the sum's terms. 32 terms at a
// time, the workgroup puts both factors into its memory, each invocation four numbers of either, while it fetches the next
// ones; then each term is an outer product of four by four. The parts of a sum are added in pairs at the end. Needs numbers of
// inputs and of outputs that are multiples of 4.
// Parts: tiles, dense, floats_f16 or floats_f32, texels_f16 or texels_f32, grad_divisors_f16 or grad_divisors_f32, weight_floats,
// outer, dense_blocks, dense_gradient_blocks, split_sums, rectifier_grad.
// CPU twin: DenseBackward in src/ops/dense/backward.rs.

override in_blocks: u32 = (in_quads + side - 1u) / side;
override weight_tiles: u32 = in_blocks * out_blocks;

@group(0) @binding(2) var<storage, read> weight: array<Word>;                  // [inputs, outputs]
@group(0) @binding(3) var<storage, read_write> weight_grad: array<vec4<f32>>;  // [inputs, outputs]
@group(0) @binding(4) var<storage, read_write> bias_grad: array<vec4<f32>>;    // [outputs]
@group(0) @binding(5) var<storage, read_write> input_grad: array<Four>;        // [batch, inputs]

/// The weights of an output for four inputs, 0 beyond the last output.
fn weights_of_inputs(o: u32, quad: u32) -> vec4<f32> {
    let i = 4u * quad * outputs + o;
    let four = vec4(
        weight_float_at(i), weight_float_at(i + outputs), weight_float_at(i + 2u * outputs), weight_float_at(i + 3u * outputs),
    );
    return select(vec4(0.0), four, o < outputs);
}

/// The gradients of an output in four samples. Beyond the last output: those of the last one. They are multiplied by 0.
fn grads_of_samples(o: u32, quad: u32) -> vec4<f32> {
    let own = min(o, outputs - 1u);
    let i = 4u * quad * out_quads + own / 4u;
    let part = own % 4u;
    return vec4(
        unpacked(output_grad[i])[part], unpacked(output_grad[i + out_quads])[part],
        unpacked(output_grad[i + 2u * out_quads])[part], unpacked(output_grad[i + 3u * out_quads])[part],
    );
}

fn store(is_weight: bool, row: u32, quad: u32, sums: vec4<f32>) {
    if is_weight {
        if row < inputs && quad < out_quads { weight_grad[row * out_quads + quad] = sums / parameter_divisor; }
    } else if row < batch && quad < in_quads {
        let i = row * in_quads + quad;
        input_grad[i] = packed(grad_before(sums, unpacked(input[i])));
    }
}

@compute @workgroup_size(workgroup_size)
fn dense_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // No invocation may leave early: those beyond the last row or column help to load, and store nothing.
    let block = tile_index(group, groups);
    let is_weight = block < weight_tiles;
    let first_column = select(block % in_blocks, block % out_blocks, is_weight) * side;
    let first_row = select((block - weight_tiles) / in_blocks, block / out_blocks, is_weight) * side;
    // The terms are samples or outputs. What this invocation fetches: of a term, a quad of columns and one of rows; neighbours
    // fetch what lies side by side.
    let terms = select(outputs, batch, is_weight);
    let k = select(local % slice, local / side, is_weight);
    let quad = select(local / slice, local % side, is_weight);
    var next_columns: vec4<f32>;
    var next_rows: vec4<f32>;
    if is_weight {
        next_columns = grads_of_outputs(k, first_column + quad);
        next_rows = inputs_at(k, first_row + quad);
    } else {
        next_columns = weights_of_inputs(k, first_column + quad);
        next_rows = grads_of_samples(k, first_row + quad);
    }

    let column = local % side;
    let place = local % tile / side;
    let split = local / tile;
    var column_sums = vec4(0.0);
    var sums = mat4x4<f32>();
    for (var first = 0u; first < terms; first += slice) {
        columns[k * pitch + quad] = next_columns;
        rows[k * pitch + quad] = next_rows;
        workgroupBarrier();
        column_sums += next_columns;
        let next = first + slice + k;
        if is_weight {
            next_columns = grads_of_outputs(next, first_column + quad);
            next_rows = inputs_at(next, first_row + quad);
        } else {
            next_columns = weights_of_inputs(next, first_column + quad);
            next_rows = grads_of_samples(next, first_row + quad);
        }
        for (var term = split; term < slice; term += splits) {
            sums += outer(columns[term * pitch + column], rows[term * pitch + place]);
        }
        workgroupBarrier();
    }

    let row = 4u * (first_row + place);
    // Invocations of the other splits have parts of sums, which they must not store.
    let own_column = select(max(in_quads, out_quads), first_column + column, split == 0u);
    store(is_weight, row, own_column, total(local, sums[0], tile));
    store(is_weight, row + 1u, own_column, total(local, sums[1], tile));
    store(is_weight, row + 2u, own_column, total(local, sums[2], tile));
    store(is_weight, row + 3u, own_column, total(local, sums[3], tile));
    let bias_sum = total(local, column_sums, side);
    if is_weight && first_row == 0u && local < side && first_column + column < out_quads {
        bias_grad[first_column + column] = bias_sum / parameter_divisor;
    }
}
