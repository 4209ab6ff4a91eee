// All gradients of a dense (fully connected) layer, for GPUs and for software without subgroups. That of the input is the
// gradient before the rectifier that made the input. For at most 12 outputs, such as a classifier's.
//
//   weight_grad[k,o] = sum over n of input[n,k] * output_grad[n,o]
//   bias_grad[o]     = sum over n of output_grad[n,o]
//   input_grad[n,k]  = sum over o of output_grad[n,o] * weight[k,o], times the slope where input[n,k] is not above 0
//
// Such a layer's inputs and their gradients are most of what is read and written, and here each is once. A workgroup has 32
// inputs, and each of its invocations four of them in every 32nd sample: their weights and the sums of their weights'
// gradients, three tiles of 4 by 4 of each, stay in registers. These sums are added in pairs at the end. Needs a number of
// inputs that is a multiple of 4.
// Parts: tiles, dense, floats_f16 or floats_f32, texels_f16 or texels_f32, grad_divisors_f16 or grad_divisors_f32, weight_floats,
// output_grad_floats, dense_weights, outer, split_sums, dense_all_grads, dense_parameter_grads, rectifier_grad,
// dense_narrow_grads.
// CPU twin: DenseBackward in src/ops/dense/backward.rs.

/// Quads of inputs of a workgroup.
const tile = 8u;

override quads: u32 = inputs / 4u;
override splits: u32 = workgroup_size / tile;

@group(0) @binding(0) var<storage, read> input: array<Four>;             // [batch, inputs]
@group(0) @binding(1) var<storage, read> output_grad: array<Word>;       // [batch, outputs]
@group(0) @binding(2) var<storage, read> weight: array<Word>;            // [inputs, outputs]
@group(0) @binding(5) var<storage, read_write> input_grad: array<Four>;  // [batch, inputs]

alias Part = mat4x4<f32>;

/// The gradients of four outputs of a sample, 0 where there is no such output. A read beyond a buffer gives some number in
/// WGSL, which here and below is not used.
fn grads_at(n: u32, o: u32) -> vec4<f32> {
    let i = n * outputs + o;
    return select(vec4(0.0), output_grad_floats_at(i), is_output(o));
}

fn weight_at(k: u32, o: u32) -> vec4<f32> {
    let i = k * outputs + o;
    return select(vec4(0.0), weight_floats_at(i), is_output(o));
}

@compute @workgroup_size(workgroup_size)
fn dense_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // No invocation may leave early: those beyond the last input help to add up, and store nothing.
    let quad = tile_index(group, groups) * tile + local % tile;
    let k = 4u * quad;
    let w0 = weights_at(k, 0u);
    let w1 = weights_at(k, 4u);
    let w2 = weights_at(k, 8u);
    var s0 = mat4x4<f32>();
    var s1 = mat4x4<f32>();
    var s2 = mat4x4<f32>();
    var bias = mat4x4<f32>();
    for (var n = local / tile; n < batch; n += splits) {
        let values = unpacked(input[n * quads + quad]);
        let g0 = grads_at(n, 0u);
        let g1 = grads_at(n, 4u);
        let g2 = grads_at(n, 8u);
        s0 += outer(g0, values);
        s1 += outer(g1, values);
        s2 += outer(g2, values);
        bias += mat4x4(g0, g1, g2, vec4(0.0));
        if quad < quads {
            input_grad[n * quads + quad] = packed(grad_before(g0 * w0 + g1 * w1 + g2 * w2, values));
        }
    }

    let sum0 = total(local, s0, tile);
    let sum1 = total(local, s1, tile);
    let sum2 = total(local, s2, tile);
    let biases = total(local, bias, tile);
    if local < tile {
        store_tiles(k, sum0, sum1, sum2, mat3x4(biases[0], biases[1], biases[2]));
    }
}
