// Softmax and cross-entropy of each sample, by the log-sum-exp of the logits less their maximum m, and the gradient of the
// batch's mean loss.
//
//   probability[n,o] = exp(logits[n,o] - m) / sum       where sum = sum over o of exp(logits[n,o] - m)
//   target[n,o]      = (1 - label_smoothing) * [o = label] + label_smoothing / classes
//   loss[n]          = sum over o of target[n,o] * (m - logits[n,o] + log(sum))
//   hit[n]           = 1 where label is the first largest logit, else 0
//   logits_grad[n,o] = (probability[n,o] - target[n,o]) / batch, or * loss_scale in half precision
//
// A label that is not a class means "no sample": loss, hit and gradient are 0. One invocation computes one sample.
//
// Parts: linear, floats_f16 or floats_f32, classes, grad_divisors_f16 or grad_divisors_f32, softmax, logits_grad, finish_sample.
// CPU twin: CrossEntropy in src/ops/cross_entropy.rs.

@group(0) @binding(0) var<storage, read> logits: array<Word>;             // [batch, classes]
@group(0) @binding(1) var<storage, read> label: array<u32>;               // [batch]
@group(0) @binding(2) var<storage, read_write> probability: array<f32>;   // [batch, classes]
@group(0) @binding(3) var<storage, read_write> logits_grad: array<Word>;  // [batch, classes]
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;          // [batch]
@group(0) @binding(5) var<storage, read_write> hit: array<u32>;           // [batch]

fn logit_at(row: u32, o: u32) -> f32 {
    let i = row * classes + o;
    return float_of(logits[i / FLOATS_PER_WORD], i);
}

@compute @workgroup_size(workgroup_size)
fn cross_entropy(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups);
    if n < batch { finish(n, n); }
}
