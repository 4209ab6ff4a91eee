// Leaky rectified linear unit, or its gradient.
//
//   output[i] = input[i] where sign_of[i] > 0, else slope * input[i]
//
// Forward, `sign_of` is the input too. Backward, `sign_of` is the layer's output and `input` its gradient.
// One invocation computes one element, or four in `quad`.
// Parts: linear, quad or single.
// CPU twin: LeakyApply in src/layers/leaky.rs.

override length: u32;
override slope: f32;

@group(0) @binding(0) var<storage, read> sign_of: array<Numbers>;       // [length]
@group(0) @binding(1) var<storage, read> input: array<Numbers>;         // [length]
@group(0) @binding(2) var<storage, read_write> output: array<Numbers>;  // [length]

@compute @workgroup_size(workgroup_size)
fn leaky_apply(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= length / NUMBERS { return; }
    output[i] = select(slope * input[i], input[i], sign_of[i] > Numbers());
}
