// Gradient of the rectified linear unit, four elements for each invocation.
//
//   input_grad[i] = output_grad[i] where output[i] > 0, else 0
//
// Two loads and one store move four neighbouring elements each. Needs a length that is a multiple of 4.
// CPU twin: ReluBackward in src/ops/relu.rs.

override length: u32;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read> output: array<vec4<f32>>;            // [length / 4]
@group(0) @binding(1) var<storage, read> output_grad: array<vec4<f32>>;       // [length / 4]
@group(0) @binding(2) var<storage, read_write> input_grad: array<vec4<f32>>;  // [length / 4]

@compute @workgroup_size(workgroup_size)
fn relu_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * workgroup_size;
    if i >= length / 4u { return; }
    input_grad[i] = select(vec4(0.0), output_grad[i], output[i] > vec4(0.0));
}
