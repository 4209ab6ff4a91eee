// All gradients of a dense (fully connected) layer whose input came out of a ReLU. The gradient with respect to the input is
// that before the ReLU.
//
//   weight_grad[k,o] = sum over n of input[n,k] * output_grad[n,o]
//   bias_grad[o]     = sum over n of output_grad[n,o]
//   input_grad[n,k]  = sum over o of output_grad[n,o] * weight[k,o] where input[n,k] > 0, else 0
//
// In half precision the gradients of activations are those of shared/grad_divisors_f16.wgsl, and the first two are divided by
// loss_scale * batch. One invocation computes one element of the first two, or one word of the third.
// `lanes` shares loads between 8 lanes, `lanes_narrow` those of a layer of 12 outputs at most: fastest on software adapters with
// subgroups. `blocks` and `blocks_narrow` share them in a workgroup's memory, for GPUs, and for software without subgroups.
//
// Parts: floats_f16 or floats_f32, dense, linear, grad_divisors_f16 or grad_divisors_f32.
// CPU twin: DenseReluBackward in src/ops/dense_relu.rs.

@group(0) @binding(0) var<storage, read> input: array<Word>;             // [batch, inputs]
@group(0) @binding(1) var<storage, read> output_grad: array<Word>;       // [batch, outputs]
@group(0) @binding(2) var<storage, read> weight: array<Word>;            // [inputs, outputs]
@group(0) @binding(3) var<storage, read_write> weight_grad: array<f32>;  // [inputs, outputs]
@group(0) @binding(4) var<storage, read_write> bias_grad: array<f32>;    // [outputs]
@group(0) @binding(5) var<storage, read_write> input_grad: array<Word>;  // [batch, inputs]

fn input_at(i: u32) -> f32 {
    return float_of(input[i / FLOATS_PER_WORD], i);
}

fn output_grad_at(n: u32, o: u32) -> f32 {
    let i = n * outputs + o;
    return float_of(output_grad[i / FLOATS_PER_WORD], i);
}

fn input_grad_at(i: u32) -> f32 {
    var sum = 0.0;
    for (var o = 0u; o < outputs; o++) {
        let j = i % inputs * outputs + o;
        sum += output_grad_at(i / inputs, o) * float_of(weight[j / FLOATS_PER_WORD], j);
    }
    return select(0.0, sum, input_at(i) > 0.0);
}

@compute @workgroup_size(workgroup_size)
fn dense_relu_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    // First the weights, then the biases, then the words of the inputs.
    let i = linear_index(id, groups);
    let weights = inputs * outputs;
    var sum = 0.0;
    if i < weights {
        for (var n = 0u; n < batch; n++) {
            sum += input_at(n * inputs + i / outputs) * output_grad_at(n, i % outputs);
        }
        weight_grad[i] = sum / parameter_divisor;
    } else if i < weights + outputs {
        for (var n = 0u; n < batch; n++) {
            sum += output_grad_at(n, i - weights);
        }
        bias_grad[i - weights] = sum / parameter_divisor;
    } else if i < weights + outputs + batch * inputs / FLOATS_PER_WORD {
        let word = i - weights - outputs;
        var values = vec4(input_grad_at(word * FLOATS_PER_WORD));
        if FLOATS_PER_WORD == 2u { values.y = input_grad_at(word * FLOATS_PER_WORD + 1u); }
        input_grad[word] = word_of(values, 0u);
    }
}
