// Dense (fully connected) layer, softmax and cross-entropy, and the gradient of the batch's mean loss; a workgroup for 32
// samples, in which each invocation has four neighbouring outputs: 8 tiles of 4 outputs by 4 samples, in registers.
//
//   logits[n,o]      = bias[o] + sum over k of input[n,k] * weight[k,o]
//   probability[n,o] = exp(logits[n,o] - m) / sum          where m is the largest logit and sum = sum over o of exp(logits[n,o] - m)
//   loss[n]          = m - logits[n,label] + log(sum)
//   hit[n]           = 1 where label is the first largest logit, else 0
//   logits_grad[n,o] = (probability[n,o] - [o = label]) / batch
//
// A label that is not a class means "no sample": loss, hit and gradient are 0.
//
// Four inputs at a time, a tile takes one product of 4x4 matrices. All invocations need the same inputs at a time: each of
// the first 8 lanes loads those of four samples and broadcasts them to the others. The logits pass through workgroup memory
// to one invocation for each sample. Needs subgroups of 8 lanes or more.
// CPU twin: DenseCrossEntropyForward in src/ops/dense_relu.rs.

override batch: u32;
override inputs: u32;
override outputs: u32;
override workgroup_size: u32;
override texels_per_row: u32;

@group(0) @binding(0) var input: texture_storage_2d<rgba32float, read>;   // [batch, inputs]
@group(0) @binding(1) var weight: texture_storage_2d<rgba32float, read>;  // [inputs, outputs]
@group(0) @binding(2) var<storage, read> bias: array<f32>;                // [outputs]
@group(0) @binding(3) var<storage, read> label: array<u32>;               // [batch]
@group(0) @binding(4) var<storage, read_write> probability: array<f32>;   // [batch, outputs]
@group(0) @binding(5) var<storage, read_write> logits_grad: array<f32>;   // [batch, outputs]
@group(0) @binding(6) var<storage, read_write> loss: array<f32>;          // [batch]
@group(0) @binding(7) var<storage, read_write> hit: array<u32>;           // [batch]

/// The place of texel `i` in a texture.
fn texel(i: u32) -> vec2<u32> {
    return vec2(i % texels_per_row, i / texels_per_row);
}

/// Four neighbouring floats out of two texels, the first at place `i % 4u` of the first texel.
fn four_of(here: vec4<f32>, next: vec4<f32>, i: u32) -> vec4<f32> {
    let moved = select(here, vec4(here.zw, next.xy), (i & 2u) != 0u);
    return select(moved, vec4(moved.yzw, select(next.x, next.z, (i & 2u) != 0u)), (i & 1u) != 0u);
}

/// Four neighbouring floats of `input` from the `i`-th on; they may lie before the texture.
fn input_four_at(i: u32) -> vec4<f32> {
    let first = u32(i32(i) >> 2u);
    return four_of(textureLoad(input, texel(first)), textureLoad(input, texel(first + 1u)), i);
}

/// Four neighbouring floats of `weight` from the `i`-th on; they may lie before the texture.
fn weight_four_at(i: u32) -> vec4<f32> {
    let first = u32(i32(i) >> 2u);
    return four_of(textureLoad(weight, texel(first)), textureLoad(weight, texel(first + 1u)), i);
}

/// Samples of a workgroup.
const tile = 32u;

/// The logits of the workgroup's samples.
var<workgroup> logits: array<f32, tile * outputs>;

/// Four inputs of a sample, 0 behind the last. A read beyond a texture gives some number in WGSL, which here and below is not
/// used.
fn input_at(n: u32, k: u32) -> vec4<f32> {
    let i = n * inputs + k;
    let inside = vec4(k) + vec4(0u, 1u, 2u, 3u) < vec4(inputs);
    return select(vec4(0.0), input_four_at(i), inside);
}

/// Which of four neighbouring outputs there are.
fn is_output(o: u32) -> vec4<bool> {
    return vec4(o) + vec4(0u, 1u, 2u, 3u) < vec4(outputs);
}

/// The weights of four outputs for an input; those of the last where there is none, which its zero takes away.
fn weight_at(k: u32, o: u32) -> vec4<f32> {
    let i = min(k, inputs - 1u) * outputs + o;
    return weight_four_at(i);
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
    for (var o = 0u; o < outputs; o++) {
        let share = exp(logits[row + o] - most) / sum;
        probability[n * outputs + o] = share;
        logits_grad[n * outputs + o] = select(0.0, (share - select(0.0, 1.0, o == own)) / f32(batch), is_sample);
    }
    loss[n] = select(0.0, most - logits[row + min(own, outputs - 1u)] + log(sum), is_sample);
    hit[n] = select(0u, 1u, own == best);
}

@compute @workgroup_size(workgroup_size)
fn dense_cross_entropy_forward(
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
