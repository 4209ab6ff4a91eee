// Gradient of a rectifier.
//
//   input_grad[i] = output_grad[i] where output[i] > 0, else negative_slope * output_grad[i]
//
// One invocation computes one word.
// `quad` computes four elements, where the length is a multiple of 4.
//
// Parts: linear, floats_f16 or floats_f32 or texels_f16 or texels_f32, quad or single, rectifier_grad.
// CPU twin: ReluBackward in src/ops/relu.rs.

override length: u32;  // a multiple of NUMBERS

@group(0) @binding(0) var<storage, read> output: array<Numbers>;            // [length]
@group(0) @binding(1) var<storage, read> output_grad: array<Numbers>;       // [length]
@group(0) @binding(2) var<storage, read_write> input_grad: array<Numbers>;  // [length]

@compute @workgroup_size(workgroup_size)
fn relu_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= length / NUMBERS { return; }
    input_grad[i] = numbers_of(grad_before(values_of(output_grad[i]), values_of(output[i])));
}
