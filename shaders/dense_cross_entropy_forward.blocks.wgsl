// Dense (fully connected) layer, softmax and cross-entropy, and the gradient of the batch's mean loss, for GPUs and for
// software without subgroups; a workgroup for four samples.
//
//   logits[n,o]      = bias[o] + sum over k of input[n,k] * weight[k,o]
//   probability[n,o] = exp(logits[n,o] - m) / sum    where m is the largest logit, sum = sum over o of exp(logits[n,o] - m)
//   target[n,o]      = (1 - label_smoothing) * [o = label] + label_smoothing / outputs
//   loss[n]          = sum over o of target[n,o] * (m - logits[n,o] + log(sum))
//   hit[n]           = 1 where label is the first largest logit, else 0
//   logits_grad[n,o] = (probability[n,o] - target[n,o]) / batch
//
// A label that is not a class means "no sample": loss, hit and gradient are 0.
//
// Such a layer has few outputs and long sums: each invocation has one output of the four samples and every `splits`-th term of
// their sums, so that the workgroup reads the weights in the order in which they lie, and these parts are added in pairs. Then
// an invocation for each output of each sample.
// Parts: tiles, dense, floats_f16 or floats_f32, texels_f16 or texels_f32, grad_divisors_f16 or grad_divisors_f32, input_floats,
// weight_floats, softmax, logits_grad, dense_cross_entropy, split_sums.
// CPU twin: DenseCrossEntropyForward in src/ops/dense/cross_entropy.rs.

/// Samples of a workgroup.
const samples = 4u;

override splits: u32 = workgroup_size / outputs;  // four or more

@group(0) @binding(0) var<storage, read> input: array<Word>;   // [batch, inputs]
@group(0) @binding(1) var<storage, read> weight: array<Word>;  // [inputs, outputs]
@group(0) @binding(2) var<storage, read> bias: array<f32>;     // [outputs]

/// For an output, terms of the sums of the four samples. Once they are added up, `partial` has the logits of each output.
alias Part = vec4<f32>;

fn logit_at(column: u32, o: u32) -> f32 {
    return partial[o][column];
}

@compute @workgroup_size(workgroup_size)
fn dense_cross_entropy_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = tile_index(group, groups) * samples;
    let o = local % outputs;
    var sums = vec4(select(0.0, bias[o], local < outputs));
    for (var k = local / outputs; k < inputs; k += splits) {
        // Samples beyond the last read beyond the buffer, some number in WGSL, and are not stored.
        let i = first * inputs + k;
        sums += inputs_of_four(i) * weight_float_at(k * outputs + o);
    }
    total(local, sums, outputs);
    let column = local / outputs;
    let n = first + column;
    if column < samples && n < batch {
        let softmax = softmax_of(column);
        let i = n * outputs + o;
        probability[i] = share_of(softmax, column, o);
        if i % FLOATS_PER_WORD == 0u {
            var grads: vec4<f32>;
            for (var j = 0u; j < FLOATS_PER_WORD; j++) {
                grads[j] = logit_grad(share_of(softmax, column, o + j), o + j, label[n]);
            }
            logits_grad[i / FLOATS_PER_WORD] = word_of(grads, 0u);
        }
        if o == 0u { store_loss(softmax, column, n); }
    }
}
