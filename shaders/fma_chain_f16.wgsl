// Chains of multiply-adds of 16-bit floats on registers: the adapter's peak rate in half precision.
//
//   output[i] = sum of the lanes of x0 and x1, where 16 * rounds times x = x * 0.75 + input[i], from x0 = 0 and x1 = 1
//
// As fma_chain.wgsl, with numbers of 16 bits in between. Needs f16. CPU twin: FmaChainF16 in src/ops/peak.rs.

enable f16;

override length: u32;
override rounds: u32;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read> input: array<f32>;         // [length]
@group(0) @binding(1) var<storage, read_write> output: array<f32>;  // [length]

@compute @workgroup_size(workgroup_size)
fn fma_chain_f16(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * workgroup_size;
    if i >= length { return; }
    let a = vec4<f16>(0.75h);
    let b = vec4<f16>(f16(input[i]));
    var x0 = vec4<f16>(0.0h);
    var x1 = vec4<f16>(1.0h);
    for (var round = 0u; round < rounds; round++) {
        x0 = fma(x0, a, b); x1 = fma(x1, a, b);
        x0 = fma(x0, a, b); x1 = fma(x1, a, b);
        x0 = fma(x0, a, b); x1 = fma(x1, a, b);
        x0 = fma(x0, a, b); x1 = fma(x1, a, b);
        x0 = fma(x0, a, b); x1 = fma(x1, a, b);
        x0 = fma(x0, a, b); x1 = fma(x1, a, b);
        x0 = fma(x0, a, b); x1 = fma(x1, a, b);
        x0 = fma(x0, a, b); x1 = fma(x1, a, b);
        x0 = fma(x0, a, b); x1 = fma(x1, a, b);
        x0 = fma(x0, a, b); x1 = fma(x1, a, b);
        x0 = fma(x0, a, b); x1 = fma(x1, a, b);
        x0 = fma(x0, a, b); x1 = fma(x1, a, b);
        x0 = fma(x0, a, b); x1 = fma(x1, a, b);
        x0 = fma(x0, a, b); x1 = fma(x1, a, b);
        x0 = fma(x0, a, b); x1 = fma(x1, a, b);
        x0 = fma(x0, a, b); x1 = fma(x1, a, b);
    }
    output[i] = dot(vec4<f32>(x0) + vec4<f32>(x1), vec4(1.0));
}
