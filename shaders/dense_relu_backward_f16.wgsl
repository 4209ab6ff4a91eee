// All gradients of a dense (fully connected) layer whose input came out of a ReLU, in half precision; that with respect to the
// input is the gradient before that ReLU.
//
//   weight_grad[k,o] = sum over n of input[n,k] * output_grad[n,o], / (loss_scale * batch)
//   bias_grad[o]     = sum over n of output_grad[n,o], / (loss_scale * batch)
//   input_grad[n,k]  = sum over o of output_grad[n,o] * weight[k,o] where input[n,k] > 0, else 0
//
// 16-bit floats lie two to a word, the first in the lower bits, and are gradients of the batch's summed loss, times loss_scale;
// sums are added up in 32 bits. One invocation computes one element of the first two, or two
// neighbours of the third. CPU twin: DenseReluBackward in src/ops/dense_relu/half.rs.

override batch: u32;
override inputs: u32;  // even
override outputs: u32;
override loss_scale: f32;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read> input: array<u32>;              // [batch, inputs]
@group(0) @binding(1) var<storage, read> output_grad: array<u32>;        // [batch, outputs]
@group(0) @binding(2) var<storage, read> weight: array<u32>;             // [inputs, outputs]
@group(0) @binding(3) var<storage, read_write> weight_grad: array<f32>;  // [inputs, outputs]
@group(0) @binding(4) var<storage, read_write> bias_grad: array<f32>;    // [outputs]
@group(0) @binding(5) var<storage, read_write> input_grad: array<u32>;   // [batch, inputs]

/// An element of weight, widened.
fn weight_at(i: u32) -> f32 {
    return unpack2x16float(weight[i / 2u])[i % 2u];
}

/// An element of input, widened.
fn input_at(i: u32) -> f32 {
    return unpack2x16float(input[i / 2u])[i % 2u];
}

/// An element of output_grad, widened.
fn output_grad_at(i: u32) -> f32 {
    return unpack2x16float(output_grad[i / 2u])[i % 2u];
}

fn input_grad_at(n: u32, k: u32) -> f32 {
    var sum = 0.0;
    for (var o = 0u; o < outputs; o++) {
        sum += output_grad_at(n * outputs + o) * weight_at(k * outputs + o);
    }
    return select(0.0, sum, input_at(n * inputs + k) > 0.0);
}

@compute @workgroup_size(workgroup_size)
fn dense_relu_backward_f16(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    // First the weights, then the biases, then the inputs.
    let i = id.x + id.y * groups.x * workgroup_size;
    let weights = inputs * outputs;
    var sum = 0.0;
    if i < weights {
        for (var n = 0u; n < batch; n++) {
            sum += input_at(n * inputs + i / outputs) * output_grad_at(n * outputs + i % outputs);
        }
        weight_grad[i] = sum / (loss_scale * f32(batch));
    } else if i < weights + outputs {
        for (var n = 0u; n < batch; n++) {
            sum += output_grad_at(n * outputs + i - weights);
        }
        bias_grad[i - weights] = sum / (loss_scale * f32(batch));
    } else if i < weights + outputs + batch * inputs / 2u {
        let word = i - weights - outputs;
        let n = word * 2u / inputs;
        let k = word * 2u % inputs;
        input_grad[word] = pack2x16float(vec2(input_grad_at(n, k), input_grad_at(n, k + 1u)));
    }
}
