// Gradient of the mean cross-entropy with respect to the logits.
//
//   logits_grad[n,o] = (probability[n,o] - [o = label[n]]) / batch
//
// and 0 for a sample whose label is not a class. One invocation computes one element, in memory order.
//
// Parts: linear, classes, grad_divisors_f32, logits_grad.
// CPU twin: CrossEntropyBackward in src/ops/cross_entropy.rs.

@group(0) @binding(0) var<storage, read> probability: array<f32>;        // [batch, classes]
@group(0) @binding(1) var<storage, read> label: array<u32>;              // [batch]
@group(0) @binding(2) var<storage, read_write> logits_grad: array<f32>;  // [batch, classes]

@compute @workgroup_size(workgroup_size)
fn cross_entropy_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= batch * classes { return; }
    logits_grad[i] = logit_grad(probability[i], i % classes, label[i / classes]);
}
