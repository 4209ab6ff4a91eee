// Gradient of the rectified linear unit.
//
//   input_grad[i] = output_grad[i] where output[i] > 0, else 0
//
// One invocation computes one element.
// `quad` computes four, where the length is a multiple of 4.
//
// Parts: linear, quad or single.
// CPU twin: ReluBackward in src/ops/relu.rs.

override length: u32;

@group(0) @binding(0) var<storage, read> output: array<Numbers>;            // [length]
@group(0) @binding(1) var<storage, read> output_grad: array<Numbers>;       // [length]
@group(0) @binding(2) var<storage, read_write> input_grad: array<Numbers>;  // [length]

@compute @workgroup_size(workgroup_size)
fn relu_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= length / NUMBERS { return; }
    input_grad[i] = select(Numbers(), output_grad[i], output[i] > Numbers());
}
