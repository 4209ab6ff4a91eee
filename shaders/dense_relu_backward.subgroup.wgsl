// All gradients of a dense (fully connected) layer whose input came out of a ReLU; that with respect to the input is the
// gradient before that ReLU.
//
//   weight_grad[k,o] = sum over n of input[n,k] * output_grad[n,o]
//   bias_grad[o]     = sum over n of output_grad[n,o]
//   input_grad[n,k]  = sum over o of output_grad[n,o] * weight[k,o] where input[n,k] > 0, else 0
//
// A workgroup has a tile of the weights' gradient, 32 inputs in all, of which each invocation has four neighbouring outputs;
// or, after these, a tile of the inputs' gradient, 32 samples in all, of which each invocation has four neighbouring inputs.
// Either is 8 tiles of 4 by 4 in registers, and each takes one product of 4x4 matrices for four samples, or four outputs, at
// a time. All invocations need the same factors at a time: each of the first 8 lanes loads a matrix of them and broadcasts
// it to the others. Needs subgroups of 8 lanes or more. CPU twin: DenseReluBackward in src/ops/dense_relu.rs.

override batch: u32;
override inputs: u32;
override outputs: u32;
override workgroup_size: u32;
override texels_per_row: u32;

override output_blocks: u32 = (outputs + 4u * workgroup_size - 1u) / (4u * workgroup_size);
override input_blocks: u32 = (inputs + 4u * workgroup_size - 1u) / (4u * workgroup_size);
override weight_tiles: u32 = (inputs + 31u) / 32u * output_blocks;

@group(0) @binding(0) var input: texture_storage_2d<rgba32float, read>;        // [batch, inputs]
@group(0) @binding(1) var output_grad: texture_storage_2d<rgba32float, read>;  // [batch, outputs]
@group(0) @binding(2) var weight: texture_storage_2d<rgba32float, read>;       // [inputs, outputs]
@group(0) @binding(3) var<storage, read_write> weight_grad: array<f32>;        // [inputs, outputs]
@group(0) @binding(4) var<storage, read_write> bias_grad: array<f32>;          // [outputs]
@group(0) @binding(5) var<storage, read_write> input_grad: array<f32>;         // [batch, inputs]

/// The place of texel `i` in a texture.
fn texel(i: u32) -> vec2<u32> {
    return vec2(i % texels_per_row, i / texels_per_row);
}

/// Four neighbouring floats out of two texels, the first at place `i % 4u` of the first texel.
fn four_of(here: vec4<f32>, next: vec4<f32>, i: u32) -> vec4<f32> {
    let moved = select(here, vec4(here.zw, next.xy), (i & 2u) != 0u);
    return select(moved, vec4(moved.yzw, select(next.x, next.z, (i & 2u) != 0u)), (i & 1u) != 0u);
}

/// Four inputs of a sample. A read beyond a texture gives some number in WGSL, which here and below is not used.
fn input_at(n: u32, k: u32) -> vec4<f32> {
    let i = min(n, batch - 1u) * inputs + k;
    return four_of(textureLoad(input, texel(i / 4u)), textureLoad(input, texel(i / 4u + 1u)), i);
}

/// Which of four neighbouring outputs there are.
fn is_output(o: u32) -> vec4<bool> {
    return vec4(o) + vec4(0u, 1u, 2u, 3u) < vec4(outputs);
}

/// Four gradients of a sample, 0 where there is no such sample or output.
fn grad_at(n: u32, o: u32) -> vec4<f32> {
    let i = n * outputs + o;
    let grads = four_of(textureLoad(output_grad, texel(i / 4u)), textureLoad(output_grad, texel(i / 4u + 1u)), i);
    return select(vec4(0.0), grads, is_output(o) & vec4(n < batch));
}

/// The weights of four outputs for an input, 0 where there is no such output.
fn weight_at(k: u32, o: u32) -> vec4<f32> {
    let i = k * outputs + o;
    let weights = four_of(textureLoad(weight, texel(i / 4u)), textureLoad(weight, texel(i / 4u + 1u)), i);
    return select(vec4(0.0), weights, is_output(o));
}

fn put_weight(k: u32, o: u32, values: vec4<f32>) {
    if k >= inputs { return; }
    let i = k * outputs + o;
    let inside = is_output(o);
    if inside.x { weight_grad[i] = values.x; }
    if inside.y { weight_grad[i + 1u] = values.y; }
    if inside.z { weight_grad[i + 2u] = values.z; }
    if inside.w { weight_grad[i + 3u] = values.w; }
}

fn store_weights(k: u32, o: u32, sums: mat4x4<f32>) {
    put_weight(k, o, sums[0]);
    put_weight(k + 1u, o, sums[1]);
    put_weight(k + 2u, o, sums[2]);
    put_weight(k + 3u, o, sums[3]);
}

fn put_bias(i: u32, values: vec4<f32>) {
    let inside = is_output(i);
    if inside.x { bias_grad[i] = values.x; }
    if inside.y { bias_grad[i + 1u] = values.y; }
    if inside.z { bias_grad[i + 2u] = values.z; }
    if inside.w { bias_grad[i + 3u] = values.w; }
}

fn put_input(n: u32, k: u32, sums: vec4<f32>) {
    if n >= batch { return; }
    let i = n * inputs + k;
    let inside = vec4(k) + vec4(0u, 1u, 2u, 3u) < vec4(inputs);
    let values = select(vec4(0.0), sums, input_at(n, k) > vec4(0.0));
    if inside.x { input_grad[i] = values.x; }
    if inside.y { input_grad[i + 1u] = values.y; }
    if inside.z { input_grad[i + 2u] = values.z; }
    if inside.w { input_grad[i + 3u] = values.w; }
}

fn store_inputs(n: u32, k: u32, sums: mat4x4<f32>) {
    put_input(n, k, sums[0]);
    put_input(n + 1u, k, sums[1]);
    put_input(n + 2u, k, sums[2]);
    put_input(n + 3u, k, sums[3]);
}

fn backward_weight(tile: u32, local: u32, lane: u32) {
    let o = (tile % output_blocks * workgroup_size + local) * 4u;
    let first = tile / output_blocks * 32u;
    let k = first + lane * 4u;
    var bias = vec4(0.0);
    var s0 = mat4x4<f32>(); var s1 = mat4x4<f32>();
    var s2 = mat4x4<f32>(); var s3 = mat4x4<f32>();
    var s4 = mat4x4<f32>(); var s5 = mat4x4<f32>();
    var s6 = mat4x4<f32>(); var s7 = mat4x4<f32>();
    for (var n = 0u; n < batch; n += 4u) {
        let grads = mat4x4(grad_at(n, o), grad_at(n + 1u, o), grad_at(n + 2u, o), grad_at(n + 3u, o));
        let p0 = input_at(n, k);
        let p1 = input_at(n + 1u, k);
        let p2 = input_at(n + 2u, k);
        let p3 = input_at(n + 3u, k);
        bias += grads * vec4(1.0);
        s0 += grads * transpose(mat4x4(subgroupBroadcast(p0, 0u), subgroupBroadcast(p1, 0u), subgroupBroadcast(p2, 0u), subgroupBroadcast(p3, 0u)));
        s1 += grads * transpose(mat4x4(subgroupBroadcast(p0, 1u), subgroupBroadcast(p1, 1u), subgroupBroadcast(p2, 1u), subgroupBroadcast(p3, 1u)));
        s2 += grads * transpose(mat4x4(subgroupBroadcast(p0, 2u), subgroupBroadcast(p1, 2u), subgroupBroadcast(p2, 2u), subgroupBroadcast(p3, 2u)));
        s3 += grads * transpose(mat4x4(subgroupBroadcast(p0, 3u), subgroupBroadcast(p1, 3u), subgroupBroadcast(p2, 3u), subgroupBroadcast(p3, 3u)));
        s4 += grads * transpose(mat4x4(subgroupBroadcast(p0, 4u), subgroupBroadcast(p1, 4u), subgroupBroadcast(p2, 4u), subgroupBroadcast(p3, 4u)));
        s5 += grads * transpose(mat4x4(subgroupBroadcast(p0, 5u), subgroupBroadcast(p1, 5u), subgroupBroadcast(p2, 5u), subgroupBroadcast(p3, 5u)));
        s6 += grads * transpose(mat4x4(subgroupBroadcast(p0, 6u), subgroupBroadcast(p1, 6u), subgroupBroadcast(p2, 6u), subgroupBroadcast(p3, 6u)));
        s7 += grads * transpose(mat4x4(subgroupBroadcast(p0, 7u), subgroupBroadcast(p1, 7u), subgroupBroadcast(p2, 7u), subgroupBroadcast(p3, 7u)));
    }
    store_weights(first, o, s0);
    store_weights(first + 4u, o, s1);
    store_weights(first + 8u, o, s2);
    store_weights(first + 12u, o, s3);
    store_weights(first + 16u, o, s4);
    store_weights(first + 20u, o, s5);
    store_weights(first + 24u, o, s6);
    store_weights(first + 28u, o, s7);
    if first == 0u {
        put_bias(o, bias);
    }
}

fn backward_input(tile: u32, local: u32, lane: u32) {
    let k = (tile % input_blocks * workgroup_size + local) * 4u;
    let first = tile / input_blocks * 32u;
    let n = first + lane * 4u;
    var s0 = mat4x4<f32>(); var s1 = mat4x4<f32>();
    var s2 = mat4x4<f32>(); var s3 = mat4x4<f32>();
    var s4 = mat4x4<f32>(); var s5 = mat4x4<f32>();
    var s6 = mat4x4<f32>(); var s7 = mat4x4<f32>();
    for (var o = 0u; o < outputs; o += 4u) {
        let p0 = grad_at(n, o);
        let p1 = grad_at(n + 1u, o);
        let p2 = grad_at(n + 2u, o);
        let p3 = grad_at(n + 3u, o);
        let weights = transpose(mat4x4(weight_at(k, o), weight_at(k + 1u, o), weight_at(k + 2u, o), weight_at(k + 3u, o)));
        s0 += weights * mat4x4(subgroupBroadcast(p0, 0u), subgroupBroadcast(p1, 0u), subgroupBroadcast(p2, 0u), subgroupBroadcast(p3, 0u));
        s1 += weights * mat4x4(subgroupBroadcast(p0, 1u), subgroupBroadcast(p1, 1u), subgroupBroadcast(p2, 1u), subgroupBroadcast(p3, 1u));
        s2 += weights * mat4x4(subgroupBroadcast(p0, 2u), subgroupBroadcast(p1, 2u), subgroupBroadcast(p2, 2u), subgroupBroadcast(p3, 2u));
        s3 += weights * mat4x4(subgroupBroadcast(p0, 3u), subgroupBroadcast(p1, 3u), subgroupBroadcast(p2, 3u), subgroupBroadcast(p3, 3u));
        s4 += weights * mat4x4(subgroupBroadcast(p0, 4u), subgroupBroadcast(p1, 4u), subgroupBroadcast(p2, 4u), subgroupBroadcast(p3, 4u));
        s5 += weights * mat4x4(subgroupBroadcast(p0, 5u), subgroupBroadcast(p1, 5u), subgroupBroadcast(p2, 5u), subgroupBroadcast(p3, 5u));
        s6 += weights * mat4x4(subgroupBroadcast(p0, 6u), subgroupBroadcast(p1, 6u), subgroupBroadcast(p2, 6u), subgroupBroadcast(p3, 6u));
        s7 += weights * mat4x4(subgroupBroadcast(p0, 7u), subgroupBroadcast(p1, 7u), subgroupBroadcast(p2, 7u), subgroupBroadcast(p3, 7u));
    }
    store_inputs(first, k, s0);
    store_inputs(first + 4u, k, s1);
    store_inputs(first + 8u, k, s2);
    store_inputs(first + 12u, k, s3);
    store_inputs(first + 16u, k, s4);
    store_inputs(first + 20u, k, s5);
    store_inputs(first + 24u, k, s6);
    store_inputs(first + 28u, k, s7);
}

@compute @workgroup_size(workgroup_size)
fn dense_relu_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last output or input help to load, and store nothing.
    let tile = group.x + group.y * groups.x;
    if tile < weight_tiles {
        backward_weight(tile, local, lane % 8u);
    } else {
        backward_input(tile - weight_tiles, local, lane % 8u);
    }
}
