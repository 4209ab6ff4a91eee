// All gradients of a dense (fully connected) layer whose input came out of a ReLU, in half precision; that with respect to the
// input is the gradient before that ReLU. For at most 12 outputs, such as a classifier's.
//
//   weight_grad[k,o] = sum over n of input[n,k] * output_grad[n,o], / (loss_scale * batch)
//   bias_grad[o]     = sum over n of output_grad[n,o], / (loss_scale * batch)
//   input_grad[n,k]  = sum over o of output_grad[n,o] * weight[k,o] where input[n,k] > 0, else 0
//
// 16-bit floats lie two to a word, the first in the lower bits, and are gradients of the batch's summed loss, times loss_scale;
// sums are added up in 32 bits.
//
// Each invocation has four neighbouring inputs in all samples: their weights and those's gradients, three tiles of 4 by 4 of
// each, stay in registers, and eight samples at a time pass by as products of 4x4 matrices. All invocations need the same
// output gradients at a time: each of the first 8 lanes loads those of one sample and broadcasts them to the others. Needs
// subgroups of 8 lanes or more, a number of inputs that is a multiple of 4, and an even number of outputs.
// CPU twin: DenseReluBackward in src/ops/dense_relu/half.rs.

override batch: u32;
override inputs: u32;
override outputs: u32;
override loss_scale: f32;
override workgroup_size: u32;
override texels_per_row: u32;

@group(0) @binding(0) var input: texture_storage_2d<rg32uint, read>;          // [batch, inputs]
@group(0) @binding(1) var output_grad: texture_storage_2d<rg32uint, read>;    // [batch, outputs]
@group(0) @binding(2) var weight: texture_storage_2d<rg32uint, read>;         // [inputs, outputs]
@group(0) @binding(3) var<storage, read_write> weight_grad: array<f32>;       // [inputs, outputs]
@group(0) @binding(4) var<storage, read_write> bias_grad: array<f32>;         // [outputs]
@group(0) @binding(5) var<storage, read_write> input_grad: array<vec2<u32>>;  // [batch, inputs]

/// The place of texel `i` in a texture.
fn texel(i: u32) -> vec2<u32> {
    return vec2(i % texels_per_row, i / texels_per_row);
}

/// Two neighbouring words out of two texels, the first at place `i % 2u` of the first texel.
fn two_of(here: vec2<u32>, next: vec2<u32>, i: u32) -> vec2<u32> {
    return select(here, vec2(here.y, next.x), i % 2u == 1u);
}

/// Two neighbouring words of `output_grad` from the `i`-th on: four 16-bit floats.
fn output_grad_two_at(i: u32) -> vec2<u32> {
    return two_of(textureLoad(output_grad, texel(i / 2u)).xy, textureLoad(output_grad, texel(i / 2u + 1u)).xy, i);
}

/// Two neighbouring words of `weight` from the `i`-th on: four 16-bit floats.
fn weight_two_at(i: u32) -> vec2<u32> {
    return two_of(textureLoad(weight, texel(i / 2u)).xy, textureLoad(weight, texel(i / 2u + 1u)).xy, i);
}

/// Four inputs of a sample; those of the last where there is none, which its zero gradient takes away.
fn input_at(n: u32, k: u32) -> vec4<f32> {
    let words = textureLoad(input, texel((min(n, batch - 1u) * inputs + k) / 4u)).xy;
    return vec4(unpack2x16float(words.x), unpack2x16float(words.y));
}

/// Which of four outputs there are.
fn is_output(o: u32) -> vec4<bool> {
    return vec4(o) + vec4(0u, 1u, 2u, 3u) < vec4(outputs);
}

/// Four gradients of a sample, 0 where there is no such sample or output. A read beyond a texture gives some number in WGSL,
/// which here and below is not used.
fn grad_at(n: u32, o: u32) -> vec4<f32> {
    let words = output_grad_two_at((n * outputs + o) / 2u);
    let inside = is_output(o) & vec4(n < batch);
    return select(vec4(0.0), vec4(unpack2x16float(words.x), unpack2x16float(words.y)), inside);
}

fn weight_at(k: u32, o: u32) -> vec4<f32> {
    let words = weight_two_at((k * outputs + o) / 2u);
    return select(vec4(0.0), vec4(unpack2x16float(words.x), unpack2x16float(words.y)), is_output(o));
}

/// The weights of four inputs and four outputs, 0 where there is no such output.
fn weights_at(k: u32, o: u32) -> mat4x4<f32> {
    return mat4x4(weight_at(k, o), weight_at(k + 1u, o), weight_at(k + 2u, o), weight_at(k + 3u, o));
}

fn store_input(n: u32, k: u32, value: vec4<f32>, grad: vec4<f32>) {
    if n < batch && k < inputs {
        let passed = select(vec4(0.0), grad, value > vec4(0.0));
        input_grad[(n * inputs + k) / 4u] = vec2(pack2x16float(passed.xy), pack2x16float(passed.zw));
    }
}

fn store_inputs(n: u32, k: u32, values: mat4x4<f32>, grads: mat4x4<f32>) {
    store_input(n, k, values[0], grads[0]);
    store_input(n + 1u, k, values[1], grads[1]);
    store_input(n + 2u, k, values[2], grads[2]);
    store_input(n + 3u, k, values[3], grads[3]);
}

fn store_weight(k: u32, o: u32, sum: vec4<f32>) {
    if k >= inputs { return; }
    let grad = sum / (loss_scale * f32(batch));
    let i = k * outputs + o;
    let inside = is_output(o);
    if inside.x { weight_grad[i] = grad.x; }
    if inside.y { weight_grad[i + 1u] = grad.y; }
    if inside.z { weight_grad[i + 2u] = grad.z; }
    if inside.w { weight_grad[i + 3u] = grad.w; }
}

fn store_weights(k: u32, o: u32, sums: mat4x4<f32>) {
    store_weight(k, o, sums[0]);
    store_weight(k + 1u, o, sums[1]);
    store_weight(k + 2u, o, sums[2]);
    store_weight(k + 3u, o, sums[3]);
}

fn store_bias(o: u32, sum: vec4<f32>) {
    let grad = sum / (loss_scale * f32(batch));
    let inside = is_output(o);
    if inside.x { bias_grad[o] = grad.x; }
    if inside.y { bias_grad[o + 1u] = grad.y; }
    if inside.z { bias_grad[o + 2u] = grad.z; }
    if inside.w { bias_grad[o + 3u] = grad.w; }
}

@compute @workgroup_size(workgroup_size)
fn dense_relu_backward_f16(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last input help to load gradients, and store nothing.
    let k = ((group.x + group.y * groups.x) * workgroup_size + local) * 4u;
    let w0 = weights_at(k, 0u);
    let w1 = weights_at(k, 4u);
    let w2 = weights_at(k, 8u);

    var s0 = mat4x4<f32>();
    var s1 = mat4x4<f32>();
    var s2 = mat4x4<f32>();
    var bias0 = vec4(0.0);
    var bias1 = vec4(0.0);
    var bias2 = vec4(0.0);
    for (var n = 0u; n < batch; n += 8u) {
        let p0 = grad_at(n + lane % 8u, 0u);
        let p1 = grad_at(n + lane % 8u, 4u);
        let p2 = grad_at(n + lane % 8u, 8u);
        let xa = mat4x4(input_at(n, k), input_at(n + 1u, k), input_at(n + 2u, k), input_at(n + 3u, k));
        let g0a = mat4x4(subgroupBroadcast(p0, 0u), subgroupBroadcast(p0, 1u), subgroupBroadcast(p0, 2u), subgroupBroadcast(p0, 3u));
        let g1a = mat4x4(subgroupBroadcast(p1, 0u), subgroupBroadcast(p1, 1u), subgroupBroadcast(p1, 2u), subgroupBroadcast(p1, 3u));
        let g2a = mat4x4(subgroupBroadcast(p2, 0u), subgroupBroadcast(p2, 1u), subgroupBroadcast(p2, 2u), subgroupBroadcast(p2, 3u));
        s0 += g0a * transpose(xa);
        s1 += g1a * transpose(xa);
        s2 += g2a * transpose(xa);
        bias0 += g0a * vec4(1.0);
        bias1 += g1a * vec4(1.0);
        bias2 += g2a * vec4(1.0);
        store_inputs(n, k, xa, transpose(w0) * g0a + transpose(w1) * g1a + transpose(w2) * g2a);
        let xb = mat4x4(input_at(n + 4u, k), input_at(n + 5u, k), input_at(n + 6u, k), input_at(n + 7u, k));
        let g0b = mat4x4(subgroupBroadcast(p0, 4u), subgroupBroadcast(p0, 5u), subgroupBroadcast(p0, 6u), subgroupBroadcast(p0, 7u));
        let g1b = mat4x4(subgroupBroadcast(p1, 4u), subgroupBroadcast(p1, 5u), subgroupBroadcast(p1, 6u), subgroupBroadcast(p1, 7u));
        let g2b = mat4x4(subgroupBroadcast(p2, 4u), subgroupBroadcast(p2, 5u), subgroupBroadcast(p2, 6u), subgroupBroadcast(p2, 7u));
        s0 += g0b * transpose(xb);
        s1 += g1b * transpose(xb);
        s2 += g2b * transpose(xb);
        bias0 += g0b * vec4(1.0);
        bias1 += g1b * vec4(1.0);
        bias2 += g2b * vec4(1.0);
        store_inputs(n + 4u, k, xb, transpose(w0) * g0b + transpose(w1) * g1b + transpose(w2) * g2b);
    }
    store_weights(k, 0u, s0);
    store_weights(k, 4u, s1);
    store_weights(k, 8u, s2);
    if k == 0u {
        store_bias(0u, bias0);
        store_bias(4u, bias1);
        store_bias(8u, bias2);
    }
}
