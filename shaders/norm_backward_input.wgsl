// The gradient of the input of batch normalisation, before the rectifier that made the input.
//
//   normal[r,c]     = (input[r,c] - mean[c]) / sqrt(variance[c] + epsilon)
//   input_grad[r,c] = (output_grad[r,c] - grad_means[0,c] - normal[r,c] * grad_means[1,c])
//                     * weight[c] / sqrt(variance[c] + epsilon)
//
// The means are there because the statistics depend on the input too. One invocation computes one word of channels of several
// rows.
// `quad` computes four channels, where their number is a multiple of 4.
//
// Parts: linear, floats_f16 or floats_f32 or texels_f16 or texels_f32, quad or single, channels, norm_rows, row_steps,
// rectifier_grad.
// CPU twin: NormBackwardInput in src/ops/norm/gradients.rs.

override epsilon: f32;

@group(0) @binding(0) var<storage, read> input: array<Numbers>;             // [rows, channels]
@group(0) @binding(1) var<storage, read> output_grad: array<Numbers>;       // [rows, channels]
@group(0) @binding(2) var<storage, read> mean: array<f32>;                  // [channels]
@group(0) @binding(3) var<storage, read> variance: array<f32>;              // [channels]
@group(0) @binding(4) var<storage, read> weight: array<f32>;                // [channels]
@group(0) @binding(5) var<storage, read> grad_means: array<f32>;            // [2, channels]
@group(0) @binding(6) var<storage, read_write> input_grad: array<Numbers>;  // [rows, channels]

@compute @workgroup_size(workgroup_size)
fn norm_backward_input(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    let group = i % channel_groups;
    let first = i / channel_groups;
    if first >= row_step { return; }

    var means = vec4<f32>();
    var shifts = vec4<f32>();
    var slopes = vec4<f32>();
    var factors = vec4<f32>();
    for (var k = 0u; k < NUMBERS; k++) {
        let c = group * NUMBERS + k;
        let deviation = sqrt(variance[c] + epsilon);
        means[k] = mean[c];
        shifts[k] = grad_means[c];
        slopes[k] = grad_means[channels + c] / deviation;
        factors[k] = weight[c] / deviation;
    }
    for (var row = first; row < rows; row += row_step) {
        let at = row * channel_groups + group;
        let values = values_of(input[at]);
        let grads = (values_of(output_grad[at]) - shifts - (values - means) * slopes) * factors;
        input_grad[at] = numbers_of(grad_before(grads, values));
    }
}
