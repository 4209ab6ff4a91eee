// Dense (fully connected) layer, softmax and cross-entropy, and the gradient of the batch's mean loss; a workgroup for 32
// samples, in which each invocation has four neighbouring outputs.
//
//   logits[n,o]      = bias[o] + sum over k of input[n,k] * weight[k,o]
//   probability[n,o] = exp(logits[n,o] - m) / sum    where m is the largest logit, sum = sum over o of exp(logits[n,o] - m)
//   target[n,o]      = (1 - label_smoothing) * [o = label] + label_smoothing / outputs
//   loss[n]          = sum over o of target[n,o] * (m - logits[n,o] + log(sum))
//   hit[n]           = 1 where label is the first largest logit, else 0
//   logits_grad[n,o] = (probability[n,o] - target[n,o]) / batch, or * loss_scale in half precision
//
// A label that is not a class means "no sample": loss, hit and gradient are 0.
//
// Each of 8 lanes loads the inputs of four samples for all. The logits pass through workgroup memory to one invocation for each
// sample. Needs subgroups of 8 lanes or more.
// Parts: tiles, dense, texels, texels_f16 or texels_f32, input_texels, floats_f16 or floats_f32, weight_texels, lane_sums,
// put_sums, dense_forward_lanes, grad_divisors_f16 or grad_divisors_f32, softmax, logits_grad, dense_cross_entropy,
// finish_sample.
// CPU twin: DenseCrossEntropyForward in src/ops/dense/cross_entropy.rs.

/// Samples of a workgroup.
const samples = 32u;

override logits_length: u32 = samples * outputs;

var<workgroup> logits: array<f32, logits_length>;

fn logit_at(row: u32, o: u32) -> f32 {
    return logits[row * outputs + o];
}

fn put(row: u32, o: u32, sums: vec4<f32>) {
    let i = row * outputs + o;
    let inside = o + vec4(0u, 1u, 2u, 3u) < vec4(outputs);
    if inside.x { logits[i] = sums.x; }
    if inside.y { logits[i + 1u] = sums.y; }
    if inside.z { logits[i + 2u] = sums.z; }
    if inside.w { logits[i + 3u] = sums.w; }
}

@compute @workgroup_size(workgroup_size)
fn dense_cross_entropy_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last output help to load inputs, and keep nothing.
    let first = tile_index(group, groups) * samples;
    sum_products(first, local * 4u, lane);
    put_sums(0u, local * 4u);
    workgroupBarrier();
    for (var row = local; row < min(samples, max(first, batch) - first); row += workgroup_size) {
        finish(first + row, row);
    }
}
