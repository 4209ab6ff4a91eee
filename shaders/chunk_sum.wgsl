// Sum of partial sums, always in the same order.
//
//   sum[i] = sum over chunk of partial[chunk,i]
//
// One invocation computes one sum.
// Parts: linear.
// CPU twin: ChunkSum in src/ops/peak.rs.

override chunks: u32;
override length: u32;

@group(0) @binding(0) var<storage, read> partial: array<f32>;    // [chunks, length]
@group(0) @binding(1) var<storage, read_write> sum: array<f32>;  // [length]

@compute @workgroup_size(workgroup_size)
fn chunk_sum(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= length { return; }

    var total = 0.0;
    for (var chunk = 0u; chunk < chunks; chunk++) {
        total += partial[chunk * length + i];
    }
    sum[i] = total;
}
