// Rectified linear unit.
//
//   output[i] = max(input[i], 0)
//
// One invocation computes one element.
// `quad` computes four, where the length is a multiple of 4.
//
// Parts: linear, quad or single.
// CPU twin: ReluForward in src/ops/relu.rs.

override length: u32;

@group(0) @binding(0) var<storage, read> input: array<Numbers>;         // [length]
@group(0) @binding(1) var<storage, read_write> output: array<Numbers>;  // [length]

@compute @workgroup_size(workgroup_size)
fn relu_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= length / NUMBERS { return; }
    output[i] = max(input[i], Numbers());
}
