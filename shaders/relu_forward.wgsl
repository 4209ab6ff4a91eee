// Rectified linear unit.
//
//   output[i] = max(input[i], 0)
//
// One invocation computes one element. CPU twin: ReluForward in src/ops/relu.rs.

override length: u32;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read> input: array<f32>;         // [length]
@group(0) @binding(1) var<storage, read_write> output: array<f32>;  // [length]

@compute @workgroup_size(workgroup_size)
fn relu_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * workgroup_size;
    if i >= length { return; }
    output[i] = max(input[i], 0.0);
}
