// Softmax and cross-entropy of each sample, by the log-sum-exp of the logits less their maximum m.
//
//   probability[n,o] = exp(logits[n,o] - m) / sum
//   loss[n]          = m - logits[n,label] + log(sum)      where sum = sum over o of exp(logits[n,o] - m)
//   hit[n]           = 1 where label is the first largest logit, else 0
//
// A label that is not a class means "no sample": loss and hit are 0. One invocation computes one sample.
// CPU twin: CrossEntropyForward in src/ops/cross_entropy.rs.

override batch: u32;
override classes: u32;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read> logits: array<f32>;             // [batch, classes]
@group(0) @binding(1) var<storage, read> label: array<u32>;              // [batch]
@group(0) @binding(2) var<storage, read_write> probability: array<f32>;  // [batch, classes]
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;         // [batch]
@group(0) @binding(4) var<storage, read_write> hit: array<u32>;          // [batch]

@compute @workgroup_size(workgroup_size)
fn cross_entropy_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = id.x + id.y * groups.x * workgroup_size;
    if n >= batch { return; }
    let row = n * classes;

    var best = 0u;
    for (var o = 1u; o < classes; o++) {
        if logits[row + o] > logits[row + best] { best = o; }
    }
    let most = logits[row + best];

    var sum = 0.0;
    for (var o = 0u; o < classes; o++) {
        sum += exp(logits[row + o] - most);
    }
    for (var o = 0u; o < classes; o++) {
        probability[row + o] = exp(logits[row + o] - most) / sum;
    }

    if label[n] < classes {
        loss[n] = most - logits[row + label[n]] + log(sum);
        hit[n] = select(0u, 1u, label[n] == best);
    } else {
        loss[n] = 0.0;
        hit[n] = 0u;
    }
}
