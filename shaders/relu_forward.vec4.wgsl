// Rectified linear unit, four elements for each invocation.
//
//   output[i] = max(input[i], 0)
//
// One load and one store move four neighbouring elements. Needs a length that is a multiple of 4.
// CPU twin: ReluForward in src/ops/relu.rs.

override length: u32;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read> input: array<vec4<f32>>;         // [length / 4]
@group(0) @binding(1) var<storage, read_write> output: array<vec4<f32>>;  // [length / 4]

@compute @workgroup_size(workgroup_size)
fn relu_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * workgroup_size;
    if i >= length / 4u { return; }
    output[i] = max(input[i], vec4(0.0));
}
