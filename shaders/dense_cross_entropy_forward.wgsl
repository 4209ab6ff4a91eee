// Dense (fully connected) layer, softmax and cross-entropy, and the gradient of the batch's mean loss.
//
//   logits[n,o]      = bias[o] + sum over k of input[n,k] * weight[k,o]
//   probability[n,o] = exp(logits[n,o] - m) / sum    where m is the largest logit, sum = sum over o of exp(logits[n,o] - m)
//   target[n,o]      = (1 - label_smoothing) * [o = label] + label_smoothing / outputs
//   loss[n]          = sum over o of target[n,o] * (m - logits[n,o] + log(sum))
//   hit[n]           = 1 where label is the first largest logit, else 0
//   logits_grad[n,o] = (probability[n,o] - target[n,o]) / batch, or * loss_scale in half precision
//
// A label that is not a class means "no sample": loss, hit and gradient are 0. A workgroup for each sample: its
// invocations share the logits, then one does the rest.
// `lanes` shares loads between 8 lanes: fastest on software adapters with subgroups. `blocks` shares a sum between invocations,
// for GPUs, and for software without subgroups.
//
// Parts: floats_f16 or floats_f32, dense, grad_divisors_f16 or grad_divisors_f32, softmax, logits_grad, dense_cross_entropy,
// finish_sample, tiles, dense_sum.
// CPU twin: DenseCrossEntropyForward in src/ops/dense/cross_entropy.rs.

var<workgroup> logits: array<f32, outputs>;

fn logit_at(row: u32, o: u32) -> f32 {
    return logits[o];
}

@compute @workgroup_size(workgroup_size)
fn dense_cross_entropy_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let n = tile_index(group, groups);
    for (var o = local; o < outputs; o += workgroup_size) {
        logits[o] = output_at(n, o);
    }
    workgroupBarrier();
    // The folded grid may hold more workgroups than there are samples.
    if n < batch && local == 0u { finish(n, 0u); }
}
