// Dense (fully connected) layer, softmax and cross-entropy in half precision, and the gradient of the batch's summed loss, times
// loss_scale; a workgroup for 32 samples, in which each invocation has four neighbouring outputs: 8 tiles of 4 outputs by 4
// samples, in registers.
//
//   logits[n,o]      = bias[o] + sum over k of input[n,k] * weight[k,o]
//   probability[n,o] = exp(logits[n,o] - m) / sum          where m is the largest logit and sum = sum over o of exp(logits[n,o] - m)
//   loss[n]          = m - logits[n,label] + log(sum)
//   hit[n]           = 1 where label is the first largest logit, else 0
//   logits_grad[n,o] = (probability[n,o] - [o = label]) * loss_scale
//
// A label that is not a class means "no sample": loss, hit and gradient are 0. 16-bit floats lie two to a word, the first in
// the lower bits; sums are added up in 32 bits.
//
// Four inputs at a time, a tile takes one product of 4x4 matrices. All invocations need the same inputs at a time: each of
// the first 8 lanes loads those of four samples and broadcasts them to the others. The logits pass through workgroup memory
// to one invocation for each sample. Needs subgroups of 8 lanes or more.
// CPU twin: DenseCrossEntropyForward in src/ops/dense_relu/half.rs.

override batch: u32;
override inputs: u32;  // even
override outputs: u32;  // even
override loss_scale: f32;
override workgroup_size: u32;
override texels_per_row: u32;

@group(0) @binding(0) var input: texture_storage_2d<rg32uint, read>;     // [batch, inputs]
@group(0) @binding(1) var weight: texture_storage_2d<rg32uint, read>;    // [inputs, outputs]
@group(0) @binding(2) var<storage, read> bias: array<f32>;               // [outputs]
@group(0) @binding(3) var<storage, read> label: array<u32>;              // [batch]
@group(0) @binding(4) var<storage, read_write> probability: array<f32>;  // [batch, outputs]
@group(0) @binding(5) var<storage, read_write> logits_grad: array<u32>;  // [batch, outputs]
@group(0) @binding(6) var<storage, read_write> loss: array<f32>;         // [batch]
@group(0) @binding(7) var<storage, read_write> hit: array<u32>;          // [batch]

/// The place of texel `i` in a texture.
fn texel(i: u32) -> vec2<u32> {
    return vec2(i % texels_per_row, i / texels_per_row);
}

/// Two neighbouring words out of two texels, the first at place `i % 2u` of the first texel.
fn two_of(here: vec2<u32>, next: vec2<u32>, i: u32) -> vec2<u32> {
    return select(here, vec2(here.y, next.x), i % 2u == 1u);
}

/// Two neighbouring words of `input` from the `i`-th on: four 16-bit floats.
fn input_two_at(i: u32) -> vec2<u32> {
    return two_of(textureLoad(input, texel(i / 2u)).xy, textureLoad(input, texel(i / 2u + 1u)).xy, i);
}

/// Two neighbouring words of `weight` from the `i`-th on: four 16-bit floats.
fn weight_two_at(i: u32) -> vec2<u32> {
    return two_of(textureLoad(weight, texel(i / 2u)).xy, textureLoad(weight, texel(i / 2u + 1u)).xy, i);
}

/// Samples of a workgroup.
const tile = 32u;

/// The logits of the workgroup's samples.
var<workgroup> logits: array<f32, tile * outputs>;

/// Four inputs of a sample, 0 behind the last. A read beyond a texture gives some number in WGSL, which here and below is not
/// used.
fn input_at(n: u32, k: u32) -> vec4<f32> {
    let i = (n * inputs + k) / 2u;
    let inside = vec4(k) + vec4(0u, 1u, 2u, 3u) < vec4(inputs);
    let words = input_two_at(i);
    return select(vec4(0.0), vec4(unpack2x16float(words.x), unpack2x16float(words.y)), inside);
}

/// Which of four neighbouring outputs there are.
fn is_output(o: u32) -> vec4<bool> {
    return vec4(o) + vec4(0u, 1u, 2u, 3u) < vec4(outputs);
}

/// The weights of four outputs for an input; those of the last where there is none, which its zero takes away.
fn weight_at(k: u32, o: u32) -> vec4<f32> {
    let words = weight_two_at((min(k, inputs - 1u) * outputs + o) / 2u);
    return vec4(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn put(row: u32, o: u32, values: vec4<f32>) {
    let i = row * outputs + o;
    let inside = is_output(o);
    if inside.x { logits[i] = values.x; }
    if inside.y { logits[i + 1u] = values.y; }
    if inside.z { logits[i + 2u] = values.z; }
    if inside.w { logits[i + 3u] = values.w; }
}

fn keep(row: u32, o: u32, sums: mat4x4<f32>) {
    put(row, o, sums[0]);
    put(row + 1u, o, sums[1]);
    put(row + 2u, o, sums[2]);
    put(row + 3u, o, sums[3]);
}

/// Softmax and cross-entropy of a sample whose logits stand in a row of `logits`.
fn finish(n: u32, row: u32) {
    var best = 0u;
    for (var o = 1u; o < outputs; o++) {
        if logits[row + o] > logits[row + best] { best = o; }
    }
    let most = logits[row + best];
    var sum = 0.0;
    for (var o = 0u; o < outputs; o++) {
        sum += exp(logits[row + o] - most);
    }
    let own = label[n];
    let is_sample = own < outputs;
    for (var o = 0u; o < outputs; o += 2u) {
        let shares = vec2(exp(logits[row + o] - most), exp(logits[row + o + 1u] - most)) / sum;
        let i = n * outputs + o;
        probability[i] = shares.x;
        probability[i + 1u] = shares.y;
        let grads = (shares - select(vec2(0.0), vec2(1.0), vec2(o, o + 1u) == vec2(own))) * loss_scale;
        logits_grad[i / 2u] = pack2x16float(select(vec2(0.0), grads, is_sample));
    }
    loss[n] = select(0.0, most - logits[row + min(own, outputs - 1u)] + log(sum), is_sample);
    hit[n] = select(0u, 1u, own == best);
}

@compute @workgroup_size(workgroup_size)
fn dense_cross_entropy_forward_f16(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last output help to load inputs, and keep nothing.
    let o = local * 4u;
    let first = (group.x + group.y * groups.x) * tile;
    let n = first + lane % 8u * 4u;

    let four = vec4(bias[o], bias[o + 1u], bias[o + 2u], bias[o + 3u]);
    let biases = mat4x4(four, four, four, four);
    var s0 = biases;
    var s1 = biases;
    var s2 = biases;
    var s3 = biases;
    var s4 = biases;
    var s5 = biases;
    var s6 = biases;
    var s7 = biases;
    for (var k = 0u; k < inputs; k += 4u) {
        let p0 = input_at(n, k);
        let p1 = input_at(n + 1u, k);
        let p2 = input_at(n + 2u, k);
        let p3 = input_at(n + 3u, k);
        let weights = mat4x4(weight_at(k, o), weight_at(k + 1u, o), weight_at(k + 2u, o), weight_at(k + 3u, o));
        s0 += weights * mat4x4(subgroupBroadcast(p0, 0u), subgroupBroadcast(p1, 0u), subgroupBroadcast(p2, 0u), subgroupBroadcast(p3, 0u));
        s1 += weights * mat4x4(subgroupBroadcast(p0, 1u), subgroupBroadcast(p1, 1u), subgroupBroadcast(p2, 1u), subgroupBroadcast(p3, 1u));
        s2 += weights * mat4x4(subgroupBroadcast(p0, 2u), subgroupBroadcast(p1, 2u), subgroupBroadcast(p2, 2u), subgroupBroadcast(p3, 2u));
        s3 += weights * mat4x4(subgroupBroadcast(p0, 3u), subgroupBroadcast(p1, 3u), subgroupBroadcast(p2, 3u), subgroupBroadcast(p3, 3u));
        s4 += weights * mat4x4(subgroupBroadcast(p0, 4u), subgroupBroadcast(p1, 4u), subgroupBroadcast(p2, 4u), subgroupBroadcast(p3, 4u));
        s5 += weights * mat4x4(subgroupBroadcast(p0, 5u), subgroupBroadcast(p1, 5u), subgroupBroadcast(p2, 5u), subgroupBroadcast(p3, 5u));
        s6 += weights * mat4x4(subgroupBroadcast(p0, 6u), subgroupBroadcast(p1, 6u), subgroupBroadcast(p2, 6u), subgroupBroadcast(p3, 6u));
        s7 += weights * mat4x4(subgroupBroadcast(p0, 7u), subgroupBroadcast(p1, 7u), subgroupBroadcast(p2, 7u), subgroupBroadcast(p3, 7u));
    }
    keep(0u, o, s0);
    keep(4u, o, s1);
    keep(8u, o, s2);
    keep(12u, o, s3);
    keep(16u, o, s4);
    keep(20u, o, s5);
    keep(24u, o, s6);
    keep(28u, o, s7);
    workgroupBarrier();
    for (var row = local; row < min(tile, max(first, batch) - first); row += workgroup_size) {
        finish(first + row, row * outputs);
    }
}
