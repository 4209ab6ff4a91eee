// Gradient of the rectified linear unit.
//
//   input_grad[i] = output_grad[i] where output[i] > 0, else 0
//
// One invocation computes one element. CPU twin: ReluBackward in src/ops/relu.rs.

override length: u32;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read> output: array<f32>;            // [length]
@group(0) @binding(1) var<storage, read> output_grad: array<f32>;       // [length]
@group(0) @binding(2) var<storage, read_write> input_grad: array<f32>;  // [length]

@compute @workgroup_size(workgroup_size)
fn relu_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * workgroup_size;
    if i >= length { return; }
    input_grad[i] = select(0.0, output_grad[i], output[i] > 0.0);
}
