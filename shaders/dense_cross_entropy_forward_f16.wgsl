// Dense (fully connected) layer, softmax and cross-entropy in half precision, and the gradient of the batch's summed loss,
// times loss_scale.
//
//   logits[n,o]      = bias[o] + sum over k of input[n,k] * weight[k,o]
//   probability[n,o] = exp(logits[n,o] - m) / sum          where m is the largest logit and sum = sum over o of exp(logits[n,o] - m)
//   loss[n]          = m - logits[n,label] + log(sum)
//   hit[n]           = 1 where label is the first largest logit, else 0
//   logits_grad[n,o] = (probability[n,o] - [o = label]) * loss_scale
//
// A label that is not a class means "no sample": loss, hit and gradient are 0. A workgroup for each sample: an
// invocation for each logit, then one for the rest. 16-bit floats lie two to a word, the first in the lower bits; sums are
// added up in 32 bits. CPU twin: DenseCrossEntropyForward in src/ops/dense_relu/half.rs.

override batch: u32;
override inputs: u32;
override outputs: u32;  // even
override loss_scale: f32;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read> input: array<u32>;              // [batch, inputs]
@group(0) @binding(1) var<storage, read> weight: array<u32>;             // [inputs, outputs]
@group(0) @binding(2) var<storage, read> bias: array<f32>;               // [outputs]
@group(0) @binding(3) var<storage, read> label: array<u32>;              // [batch]
@group(0) @binding(4) var<storage, read_write> probability: array<f32>;  // [batch, outputs]
@group(0) @binding(5) var<storage, read_write> logits_grad: array<u32>;  // [batch, outputs]
@group(0) @binding(6) var<storage, read_write> loss: array<f32>;         // [batch]
@group(0) @binding(7) var<storage, read_write> hit: array<u32>;          // [batch]

var<workgroup> logits: array<f32, outputs>;

/// An element of weight, widened.
fn weight_at(i: u32) -> f32 {
    return unpack2x16float(weight[i / 2u])[i % 2u];
}

/// An element of input, widened.
fn input_at(i: u32) -> f32 {
    return unpack2x16float(input[i / 2u])[i % 2u];
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
    @builtin(local_invocation_index) o: u32,
) {
    let n = group.x + group.y * groups.x;
    if o < outputs {
        var sum = bias[o];
        for (var k = 0u; k < inputs; k++) {
            sum += input_at(n * inputs + k) * weight_at(k * outputs + o);
        }
        logits[o] = sum;
    }
    workgroupBarrier();
    // The folded grid may hold more workgroups than there are samples.
    if n < batch && o == 0u {
        finish(n, 0u);
    }
}
