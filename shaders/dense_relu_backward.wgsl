// All gradients of a dense (fully connected) layer whose input came out of a ReLU; that with respect to the input is the
// gradient before that ReLU.
//
//   weight_grad[k,o] = sum over n of input[n,k] * output_grad[n,o]
//   bias_grad[o]     = sum over n of output_grad[n,o]
//   input_grad[n,k]  = sum over o of output_grad[n,o] * weight[k,o] where input[n,k] > 0, else 0
//
// One invocation computes one element of one of them. CPU twin: DenseReluBackward in src/ops/dense_relu.rs.

override batch: u32;
override inputs: u32;
override outputs: u32;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read> input: array<f32>;              // [batch, inputs]
@group(0) @binding(1) var<storage, read> output_grad: array<f32>;        // [batch, outputs]
@group(0) @binding(2) var<storage, read> weight: array<f32>;             // [inputs, outputs]
@group(0) @binding(3) var<storage, read_write> weight_grad: array<f32>;  // [inputs, outputs]
@group(0) @binding(4) var<storage, read_write> bias_grad: array<f32>;    // [outputs]
@group(0) @binding(5) var<storage, read_write> input_grad: array<f32>;   // [batch, inputs]

@compute @workgroup_size(workgroup_size)
fn dense_relu_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    // First the weights, then the biases, then the inputs.
    let i = id.x + id.y * groups.x * workgroup_size;
    let weights = inputs * outputs;
    var sum = 0.0;
    if i < weights {
        for (var n = 0u; n < batch; n++) {
            sum += input[n * inputs + i / outputs] * output_grad[n * outputs + i % outputs];
        }
        weight_grad[i] = sum;
    } else if i < weights + outputs {
        for (var n = 0u; n < batch; n++) {
            sum += output_grad[n * outputs + i - weights];
        }
        bias_grad[i - weights] = sum;
    } else if i < weights + outputs + batch * inputs {
        let place = i - weights - outputs;
        for (var o = 0u; o < outputs; o++) {
            sum += output_grad[place / inputs * outputs + o] * weight[place % inputs * outputs + o];
        }
        input_grad[place] = select(0.0, sum, input[place] > 0.0);
    }
}
