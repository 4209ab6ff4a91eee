// The first pass of the statistics of batch normalisation: means and squared deviations of chunks of rows.
//
//   moments[k,0,c] = mean of input[r,c] over the rows r of chunk k
//   moments[k,1,c] = sum of (input[r,c] - moments[k,0,c])^2 over them
//
// Sums are of differences from the chunk's first row, so that no digits are lost where a mean is much larger than the deviation.
// One invocation computes one word of channels of one chunk, in memory order.
// `quad` computes four channels, where their number is a multiple of 4.
//
// Parts: linear, floats_f16 or floats_f32 or texels_f16 or texels_f32, quad or single, channels, norm_rows, row_chunks.
// CPU twin: NormMoments in src/ops/norm.rs.

@group(0) @binding(0) var<storage, read> input: array<Numbers>;       // [rows, channels]
@group(0) @binding(1) var<storage, read_write> moments: array<f32>;  // [chunks, 2, channels]

@compute @workgroup_size(workgroup_size)
fn norm_moments(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    let group = i % channel_groups;
    let chunk = i / channel_groups;
    if chunk >= chunks { return; }

    let first = chunk * rows_per_chunk;
    let end = end_of_rows(chunk);
    let shift = values_of(input[first * channel_groups + group]);
    var sums = vec4(0.0);
    var squares = vec4(0.0);
    for (var row = first + 1u; row < end; row++) {
        let differences = values_of(input[row * channel_groups + group]) - shift;
        sums += differences;
        squares += differences * differences;
    }
    let means = sums / f32(end - first);
    let deviations = max(squares - sums * means, vec4(0.0));
    for (var k = 0u; k < NUMBERS; k++) {
        let c = group * NUMBERS + k;
        moments[2u * chunk * channels + c] = shift[k] + means[k];
        moments[(2u * chunk + 1u) * channels + c] = deviations[k];
    }
}
