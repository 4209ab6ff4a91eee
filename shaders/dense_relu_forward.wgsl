// Dense (fully connected) layer with bias, then ReLU.
//
//   output[n,o] = max(0, bias[o] + sum over k of input[n,k] * weight[k,o])
//
// One invocation computes one element of the output, in memory order. CPU twin: DenseReluForward in src/ops/dense_relu.rs.

override batch: u32;
override inputs: u32;
override outputs: u32;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read> input: array<f32>;          // [batch, inputs]
@group(0) @binding(1) var<storage, read> weight: array<f32>;         // [inputs, outputs]
@group(0) @binding(2) var<storage, read> bias: array<f32>;           // [outputs]
@group(0) @binding(3) var<storage, read_write> output: array<f32>;   // [batch, outputs]

@compute @workgroup_size(workgroup_size)
fn dense_relu_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * workgroup_size;
    if i >= batch * outputs { return; }
    let o = i % outputs;
    let n = i / outputs;

    var sum = bias[o];
    for (var k = 0u; k < inputs; k++) {
        sum += input[n * inputs + k] * weight[k * outputs + o];
    }
    output[i] = max(sum, 0.0);
}
