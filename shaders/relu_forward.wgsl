// A rectifier: ReLU, or its leaky form.
//
//   output[i] = input[i] where input[i] > 0, else negative_slope * input[i]
//
// One invocation computes one word.
// `quad` computes four elements, where the length is a multiple of 4.
//
// Parts: linear, floats_f16 or floats_f32 or texels_f16 or texels_f32, quad or single, rectifier.
// CPU twin: ReluForward in src/ops/relu.rs.

override length: u32;  // a multiple of NUMBERS

@group(0) @binding(0) var<storage, read> input: array<Numbers>;         // [length]
@group(0) @binding(1) var<storage, read_write> output: array<Numbers>;  // [length]

@compute @workgroup_size(workgroup_size)
fn relu_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= length / NUMBERS { return; }
    output[i] = numbers_of(rectified(values_of(input[i])));
}
