// Chains of products of small matrices, in f32 and without matrix units: what the cooperative variants are checked against.
//
//   output[t, y, x] = sum over rounds and k of left[t, y, k] * right[k, x]
//
// One invocation computes one element. CPU twin: MatrixChain in src/ops/peak.rs.

override groups: u32;
override size: u32;
override rounds: u32;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read> left: array<f32>;          // [16 * groups, size, size]
@group(0) @binding(1) var<storage, read> right: array<f32>;         // [size, size]
@group(0) @binding(2) var<storage, read_write> output: array<f32>;  // [16 * groups, size, size]

@compute @workgroup_size(workgroup_size)
fn matrix_chain(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>) {
    let i = id.x + id.y * grid.x * workgroup_size;
    if i >= 16u * groups * size * size { return; }
    let row = i / size * size;
    let x = i % size;
    var sum = 0.0;
    for (var round = 0u; round < rounds; round++) {
        for (var k = 0u; k < size; k++) {
            sum += left[row + k] * right[k * size + x];
        }
    }
    output[i] = sum;
}
