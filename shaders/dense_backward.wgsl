// All gradients of a dense (fully connected) layer. That of the input is the gradient before the rectifier that made the input.
//
//   weight_grad[k,o] = sum over n of input[n,k] * output_grad[n,o]
//   bias_grad[o]     = sum over n of output_grad[n,o]
//   input_grad[n,k]  = sum over o of output_grad[n,o] * weight[k,o], times the slope where input[n,k] is not above 0
//
// In half precision the gradients of activations are those of shared/grad_divisors_f16.wgsl, and the first two are divided by
// loss_scale * batch. One invocation computes one element of the first two, or one word of the third.
// `lanes` shares loads between 8 lanes, `lanes_narrow` those of a layer of 12 outputs at most: fastest on software adapters with
// subgroups. `blocks` and `blocks_narrow` share them in a workgroup's memory, for GPUs, and for software without subgroups.
//
// Parts: floats_f16 or floats_f32, dense, linear, grad_divisors_f16 or grad_divisors_f32, dense_all_grads, input_floats,
// dense_parameter_sums, rectifier_grad.
// CPU twin: DenseBackward in src/ops/dense/backward.rs.

@group(0) @binding(2) var<storage, read> weight: array<Word>;            // [inputs, outputs]
@group(0) @binding(5) var<storage, read_write> input_grad: array<Word>;  // [batch, inputs]

fn input_grad_at(i: u32) -> f32 {
    var sum = 0.0;
    for (var o = 0u; o < outputs; o++) {
        let j = i % inputs * outputs + o;
        sum += output_grad_at(i / inputs, o) * float_of(weight[j / FLOATS_PER_WORD], j);
    }
    return sum;
}

@compute @workgroup_size(workgroup_size)
fn dense_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    // First the weights, then the biases, then the words of the inputs.
    let i = linear_index(id, groups);
    let parameters = inputs * outputs + outputs;
    if i < parameters {
        sum_parameter_grad(i);
    } else if i < parameters + batch * inputs / FLOATS_PER_WORD {
        let word = i - parameters;
        let k = word * FLOATS_PER_WORD;
        var sums = vec4(input_grad_at(k));
        var values = vec4(input_float_at(k));
        if FLOATS_PER_WORD == 2u {
            sums.y = input_grad_at(k + 1u);
            values.y = input_float_at(k + 1u);
        }
        input_grad[word] = word_of(grad_before(sums, values), 0u);
    }
}
