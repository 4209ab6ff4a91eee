// Softmax and cross-entropy of each sample, by the log-sum-exp of the logits less their maximum m.
//
//   probability[n,o] = exp(logits[n,o] - m) / sum
//   loss[n]          = m - logits[n,label] + log(sum)      where sum = sum over o of exp(logits[n,o] - m)
//   hit[n]           = 1 where label is the first largest logit, else 0
//
// A label that is not a class means "no sample": loss and hit are 0. One invocation computes one sample.
//
// Parts: linear, classes, softmax.
// CPU twin: CrossEntropyForward in src/ops/cross_entropy.rs.

@group(0) @binding(0) var<storage, read> logits: array<f32>;             // [batch, classes]
@group(0) @binding(1) var<storage, read> label: array<u32>;              // [batch]
@group(0) @binding(2) var<storage, read_write> probability: array<f32>;  // [batch, classes]
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;         // [batch]
@group(0) @binding(4) var<storage, read_write> hit: array<u32>;          // [batch]

fn logit_at(row: u32, o: u32) -> f32 {
    return logits[row * classes + o];
}

@compute @workgroup_size(workgroup_size)
fn cross_entropy_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups);
    if n >= batch { return; }
    let softmax = softmax_of(n);
    for (var o = 0u; o < classes; o++) {
        probability[n * classes + o] = share_of(softmax, n, o);
    }
    store_loss(softmax, n, n);
}
