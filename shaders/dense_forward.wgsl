// Dense (fully connected) layer with bias.
//
//   output[n,o] = bias[o] + sum over k of input[n,k] * weight[o,k]
//
// One invocation computes one element of the output, in memory order.
// Parts: linear, dense.
// CPU twin: DenseForward in src/ops/dense.rs.

@group(0) @binding(0) var<storage, read> input: array<f32>;         // [batch, inputs]
@group(0) @binding(1) var<storage, read> weight: array<f32>;        // [outputs, inputs]
@group(0) @binding(2) var<storage, read> bias: array<f32>;          // [outputs]
@group(0) @binding(3) var<storage, read_write> output: array<f32>;  // [batch, outputs]

@compute @workgroup_size(workgroup_size)
fn dense_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= batch * outputs { return; }
    let o = i % outputs;
    let n = i / outputs;

    var sum = bias[o];
    for (var k = 0u; k < inputs; k++) {
        sum += input[n * inputs + k] * weight[o * inputs + k];
    }
    output[i] = sum;
}
