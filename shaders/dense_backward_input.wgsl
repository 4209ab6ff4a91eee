// Gradient of a dense layer with respect to its input.
//
//   input_grad[n,k] = sum over o of output_grad[n,o] * weight[o,k]
//
// One invocation computes one element of the input's gradient, in memory order.
//
// Parts: linear, dense.
// CPU twin: DenseBackwardInput in src/ops/dense.rs.

@group(0) @binding(0) var<storage, read> output_grad: array<f32>;       // [batch, outputs]
@group(0) @binding(1) var<storage, read> weight: array<f32>;            // [outputs, inputs]
@group(0) @binding(2) var<storage, read_write> input_grad: array<f32>;  // [batch, inputs]

@compute @workgroup_size(workgroup_size)
fn dense_backward_input(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= batch * inputs { return; }
    let k = i % inputs;
    let n = i / inputs;

    var sum = 0.0;
    for (var o = 0u; o < outputs; o++) {
        sum += output_grad[n * outputs + o] * weight[o * inputs + k];
    }
    input_grad[i] = sum;
}
