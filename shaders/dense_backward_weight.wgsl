// Gradient of a dense layer with respect to its weights.
//
//   weight_grad[o,k] = sum over n of output_grad[n,o] * input[n,k]
//
// One invocation computes one element of the weights' gradient, in memory order.
//
// Parts: linear, dense.
// CPU twin: DenseBackwardWeight in src/ops/dense.rs.

@group(0) @binding(0) var<storage, read> input: array<f32>;              // [batch, inputs]
@group(0) @binding(1) var<storage, read> output_grad: array<f32>;        // [batch, outputs]
@group(0) @binding(2) var<storage, read_write> weight_grad: array<f32>;  // [outputs, inputs]

@compute @workgroup_size(workgroup_size)
fn dense_backward_weight(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= outputs * inputs { return; }
    let k = i % inputs;
    let o = i / inputs;

    var sum = 0.0;
    for (var n = 0u; n < batch; n++) {
        sum += output_grad[n * outputs + o] * input[n * inputs + k];
    }
    weight_grad[i] = sum;
}
