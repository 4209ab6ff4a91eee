// The second pass of the statistics of batch normalisation: those of all rows out of those of chunks, and the running ones.
//
//   mean[c]         = mean of all rows, of a channel
//   variance[c]     = sum of squared deviations from it / rows
//   running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c]
//   running_var[c]  = (1 - momentum) * running_var[c] + momentum * variance[c] * rows / (rows - 1)
//
// The deviations of chunks from the mean of all add to those within chunks (Chan, Golub and LeVeque 1979). One invocation
// computes one channel.
// Parts: linear, floats_f32, single, channels, norm_rows, row_chunks.
// CPU twin: NormStatistics in src/ops/norm.rs.

override momentum: f32;

@group(0) @binding(0) var<storage, read> moments: array<f32>;             // [chunks, 2, channels]
@group(0) @binding(1) var<storage, read_write> mean: array<f32>;          // [channels]
@group(0) @binding(2) var<storage, read_write> variance: array<f32>;      // [channels]
@group(0) @binding(3) var<storage, read_write> running_mean: array<f32>;  // [channels]
@group(0) @binding(4) var<storage, read_write> running_var: array<f32>;   // [channels]

fn rows_of(chunk: u32) -> f32 {
    return f32(end_of_rows(chunk) - chunk * rows_per_chunk);
}

@compute @workgroup_size(workgroup_size)
fn norm_statistics(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let c = linear_index(id, groups);
    if c >= channels { return; }

    let shift = moments[c];
    var sum = 0.0;
    for (var chunk = 1u; chunk < chunks; chunk++) {
        sum += rows_of(chunk) * (moments[2u * chunk * channels + c] - shift);
    }
    let own_mean = shift + sum / f32(rows);
    var deviations = 0.0;
    for (var chunk = 0u; chunk < chunks; chunk++) {
        let distance = moments[2u * chunk * channels + c] - own_mean;
        deviations += moments[(2u * chunk + 1u) * channels + c] + rows_of(chunk) * distance * distance;
    }
    mean[c] = own_mean;
    variance[c] = deviations / f32(rows);
    running_mean[c] = (1.0 - momentum) * running_mean[c] + momentum * own_mean;
    running_var[c] = (1.0 - momentum) * running_var[c] + momentum * deviations / f32(max(rows, 2u) - 1u);
}
