// Gradient of a bias, one partial sum for each chunk of samples.
//
//   bias_grad_partial[chunk,o] = sum over the chunk's n and all positions p of output_grad[n,o,p]
//
// `chunk_sum` adds the chunks in order. One invocation computes one partial sum, in memory order.
//
// Parts: linear, chunks.
// CPU twin: BiasBackward in src/ops/reduce.rs.

override batch: u32;
override channels: u32;
override area: u32;

@group(0) @binding(0) var<storage, read> output_grad: array<f32>;              // [batch, channels, area]
@group(0) @binding(1) var<storage, read_write> bias_grad_partial: array<f32>;  // [chunks, channels]

@compute @workgroup_size(workgroup_size)
fn bias_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= chunks * channels { return; }
    let o = i % channels;
    let chunk = i / channels;

    var sum = 0.0;
    for (var n = chunk * samples_per_chunk; n < end_of_chunk(chunk); n++) {
        let plane = (n * channels + o) * area;
        for (var p = 0u; p < area; p++) {
            sum += output_grad[plane + p];
        }
    }
    bias_grad_partial[i] = sum;
}
