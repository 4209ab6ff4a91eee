// Dense (fully connected) layer, softmax and cross-entropy, and the gradient of the batch's mean loss.
//
//   logits[n,o]      = bias[o] + sum over k of input[n,k] * weight[k,o]
//   probability[n,o] = exp(logits[n,o] - m) / sum          where m is the largest logit and sum = sum over o of exp(logits[n,o] - m)
//   loss[n]          = m - logits[n,label] + log(sum)
//   hit[n]           = 1 where label is the first largest logit, else 0
//   logits_grad[n,o] = (probability[n,o] - [o = label]) / batch
//
// A label that is not a class means "no sample": loss, hit and gradient are 0. A workgroup for each sample: an
// invocation for each logit, then one for the rest. CPU twin: DenseCrossEntropyForward in src/ops/dense_relu.rs.

override batch: u32;
override inputs: u32;
override outputs: u32;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read> input: array<f32>;              // [batch, inputs]
@group(0) @binding(1) var<storage, read> weight: array<f32>;             // [inputs, outputs]
@group(0) @binding(2) var<storage, read> bias: array<f32>;               // [outputs]
@group(0) @binding(3) var<storage, read> label: array<u32>;              // [batch]
@group(0) @binding(4) var<storage, read_write> probability: array<f32>;  // [batch, outputs]
@group(0) @binding(5) var<storage, read_write> logits_grad: array<f32>;  // [batch, outputs]
@group(0) @binding(6) var<storage, read_write> loss: array<f32>;         // [batch]
@group(0) @binding(7) var<storage, read_write> hit: array<u32>;          // [batch]

var<workgroup> logits: array<f32, outputs>;

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
    @builtin(local_invocation_index) o: u32,
) {
    let n = group.x + group.y * groups.x;
    if o < outputs {
        var sum = bias[o];
        for (var k = 0u; k < inputs; k++) {
            sum += input[n * inputs + k] * weight[k * outputs + o];
        }
        logits[o] = sum;
    }
    workgroupBarrier();
    // The folded grid may hold more workgroups than there are samples.
    if n < batch && o == 0u {
        finish(n, 0u);
    }
}
