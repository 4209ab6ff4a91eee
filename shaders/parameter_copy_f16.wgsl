// A copy of all parameters in 16-bit floats, each the nearest one: what the products of a step in half precision take.
//
//   copy[i / 2] = the 16-bit floats nearest to parameter[i] and parameter[i + 1], the first in the lower bits
//
// Of two equally near it is the one whose last bit is 0. Drivers round as they like where they convert, so that the numbers are
// rounded before; and what is smaller than 2^-14, of which they keep fewer digits or none, becomes 0.
// One invocation computes one word.
// Parts: linear.
// CPU twin: ParameterCopyF16 in src/ops/half.rs.

override length: u32;  // even

@group(0) @binding(0) var<storage, read> parameter: array<f32>;   // [length]
@group(0) @binding(1) var<storage, read_write> copy: array<u32>;  // [length / 2]

@compute @workgroup_size(workgroup_size)
fn parameter_copy_f16(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= length / 2u { return; }
    let values = vec2(parameter[2u * i], parameter[2u * i + 1u]);
    // The 13 bits that go are below a half (0x1000), above it, or equal to it: then the last bit that stays decides.
    let bits = bitcast<vec2<u32>>(values);
    let last = (bits >> vec2(13u)) & vec2(1u);
    let nearest = bitcast<vec2<f32>>((bits + last + vec2(0xFFFu)) & vec2(0xFFFFE000u));
    copy[i] = pack2x16float(select(nearest, vec2(0.0), abs(values) < vec2(0x1p-14)));
}
