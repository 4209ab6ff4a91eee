// Copies a buffer: the bandwidth of memory.
//
//   output[i] = input[i]
//
// One invocation moves four elements of 16 bytes, a quarter of the buffer apart, so that neighbours read neighbours and
// the other costs of an invocation count little.
// Parts: linear.
// CPU twin: BufferCopy in src/ops/peak.rs.

override quarter: u32;

@group(0) @binding(0) var<storage, read> input: array<vec4<f32>>;         // [4, quarter]
@group(0) @binding(1) var<storage, read_write> output: array<vec4<f32>>;  // [4, quarter]

@compute @workgroup_size(workgroup_size)
fn buffer_copy(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= quarter { return; }
    output[i] = input[i];
    output[i + quarter] = input[i + quarter];
    output[i + 2u * quarter] = input[i + 2u * quarter];
    output[i + 3u * quarter] = input[i + 3u * quarter];
}
