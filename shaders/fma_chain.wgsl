// Chains of multiply-adds on registers, which nothing but arithmetic bounds: the adapter's peak rate, of 32-bit floats or, as
// fma_chain_f16, of 16-bit floats.
//
//   output[i] = sum of the lanes of x0 and x1, where 16 * rounds times x = x * 0.75 + input[i], from x0 = 0 and x1 = 1
//
// One invocation runs 8 chains, as lanes of two vec4, so that a multiply-add need not wait for the one before; 128 of
// them to an iteration, so that the loop itself costs nothing.
// Parts: chain_f16 or chain_f32, linear.
// CPU twin: FmaChain in src/ops/peak.rs.

override length: u32;
override rounds: u32;

@group(0) @binding(0) var<storage, read> input: array<f32>;         // [length]
@group(0) @binding(1) var<storage, read_write> output: array<f32>;  // [length]

@compute @workgroup_size(workgroup_size)
fn fma_chain(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= length { return; }
    let a = vec4<Number>(0.75);
    let b = vec4(Number(input[i]));
    var x0 = vec4<Number>(0.0);
    var x1 = vec4<Number>(1.0);
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
