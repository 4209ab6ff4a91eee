// Chains of products of small matrices, in f32 and without matrix units: what `matrix8` and
// `matrix16` are checked against.
//
//   output[t, y, x] = sum over rounds and k of left[t, y, k] * right[k, x]
//
// One invocation computes one element.
// Parts: linear, matrix_chain.
// CPU twin: MatrixChain in src/ops/peak.rs.

@compute @workgroup_size(workgroup_size)
fn matrix_chain(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>) {
    let i = linear_index(id, grid);
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
