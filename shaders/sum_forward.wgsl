// The sum of two tensors, rectified.
//
//   output[i] = left[i] + right[i]; where it is not above 0, negative_slope times that
//
// One invocation computes one word.
// `quad` computes four elements, where the length is a multiple of 4.
//
// Parts: linear, floats_f16 or floats_f32 or texels_f16 or texels_f32, quad or single, rectifier.
// CPU twin: SumForward in src/ops/sum.rs.

override length: u32;  // a multiple of NUMBERS

@group(0) @binding(0) var<storage, read> left: array<Numbers>;          // [length]
@group(0) @binding(1) var<storage, read> right: array<Numbers>;         // [length]
@group(0) @binding(2) var<storage, read_write> output: array<Numbers>;  // [length]

@compute @workgroup_size(workgroup_size)
fn sum_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= length / NUMBERS { return; }
    output[i] = numbers_of(rectified(values_of(left[i]) + values_of(right[i])));
}
