// The gradient of a tensor that two branches read, before the rectifier that made it.
//
//   input_grad[i] = left_grad[i] + right_grad[i]; where input[i] is not above 0, negative_slope times that
//
// One invocation computes one word.
// `quad` computes four elements, where the length is a multiple of 4.
//
// Parts: linear, floats_f16 or floats_f32 or texels_f16 or texels_f32, quad or single, rectifier_grad.
// CPU twin: SumBackward in src/ops/sum.rs.

override length: u32;  // a multiple of NUMBERS

@group(0) @binding(0) var<storage, read> left_grad: array<Numbers>;         // [length]
@group(0) @binding(1) var<storage, read> right_grad: array<Numbers>;        // [length]
@group(0) @binding(2) var<storage, read> input: array<Numbers>;             // [length], read only where there is a rectifier
@group(0) @binding(3) var<storage, read_write> input_grad: array<Numbers>;  // [length]

@compute @workgroup_size(workgroup_size)
fn sum_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= length / NUMBERS { return; }
    let grads = values_of(left_grad[i]) + values_of(right_grad[i]);
    if !is_rectified {
        input_grad[i] = numbers_of(grads);
    } else {
        input_grad[i] = numbers_of(grad_before(grads, values_of(input[i])));
    }
}
