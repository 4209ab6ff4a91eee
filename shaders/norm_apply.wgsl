// Batch normalisation with given statistics: those of the batch in training, the running ones in evaluation. Then a rectifier.
//
//   output[r,c] = rectified((input[r,c] - mean[c]) / sqrt(variance[c] + epsilon) * weight[c] + bias[c])
//
// One invocation computes one word of channels of several rows.
// `quad` computes four channels, where their number is a multiple of 4.
//
// Parts: linear, floats_f16 or floats_f32 or texels_f16 or texels_f32, quad or single, channels, norm_rows, row_steps, rectifier.
// CPU twin: NormApply in src/ops/norm/apply.rs.

override epsilon: f32;

@group(0) @binding(0) var<storage, read> input: array<Numbers>;         // [rows, channels]
@group(0) @binding(1) var<storage, read> mean: array<f32>;              // [channels]
@group(0) @binding(2) var<storage, read> variance: array<f32>;          // [channels]
@group(0) @binding(3) var<storage, read> weight: array<f32>;            // [channels]
@group(0) @binding(4) var<storage, read> bias: array<f32>;              // [channels]
@group(0) @binding(5) var<storage, read_write> output: array<Numbers>;  // [rows, channels]

@compute @workgroup_size(workgroup_size)
fn norm_apply(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    let group = i % channel_groups;
    let first = i / channel_groups;
    if first >= row_step { return; }

    var means = vec4<f32>();
    var factors = vec4<f32>();
    var shifts = vec4<f32>();
    for (var k = 0u; k < NUMBERS; k++) {
        let c = group * NUMBERS + k;
        means[k] = mean[c];
        factors[k] = weight[c] / sqrt(variance[c] + epsilon);
        shifts[k] = bias[c];
    }
    for (var row = first; row < rows; row += row_step) {
        let at = row * channel_groups + group;
        output[at] = numbers_of(rectified((values_of(input[at]) - means) * factors + shifts));
    }
}
