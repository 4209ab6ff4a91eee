// The first pass of the gradients of batch normalisation: sums over chunks of rows.
//
//   grad_sums[k,0,c] = sum of output_grad[r,c] over the rows r of chunk k
//   grad_sums[k,1,c] = sum of output_grad[r,c] * (input[r,c] - mean[c]) / sqrt(variance[c] + epsilon) over them
//
// One invocation computes one word of channels of one chunk, in memory order.
// `quad` computes four channels, where their number is a multiple of 4.
//
// Parts: linear, floats_f16 or floats_f32 or texels_f16 or texels_f32, quad or single, channels, norm_rows, row_chunks.
// CPU twin: NormBackwardSums in src/ops/norm/gradients.rs.

override epsilon: f32;

@group(0) @binding(0) var<storage, read> input: array<Numbers>;        // [rows, channels]
@group(0) @binding(1) var<storage, read> output_grad: array<Numbers>;  // [rows, channels]
@group(0) @binding(2) var<storage, read> mean: array<f32>;             // [channels]
@group(0) @binding(3) var<storage, read> variance: array<f32>;         // [channels]
@group(0) @binding(4) var<storage, read_write> grad_sums: array<f32>;  // [chunks, 2, channels]

@compute @workgroup_size(workgroup_size)
fn norm_backward_sums(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    let group = i % channel_groups;
    let chunk = i / channel_groups;
    if chunk >= chunks { return; }

    var means = vec4<f32>();
    for (var k = 0u; k < NUMBERS; k++) { means[k] = mean[group * NUMBERS + k]; }
    var sums = vec4(0.0);
    var products = vec4(0.0);
    for (var row = chunk * rows_per_chunk; row < end_of_rows(chunk); row++) {
        let at = row * channel_groups + group;
        let grads = values_of(output_grad[at]);
        sums += grads;
        products += grads * (values_of(input[at]) - means);
    }
    for (var k = 0u; k < NUMBERS; k++) {
        let c = group * NUMBERS + k;
        grad_sums[2u * chunk * channels + c] = sums[k];
        grad_sums[(2u * chunk + 1u) * channels + c] = products[k] / sqrt(variance[c] + epsilon);
    }
}
