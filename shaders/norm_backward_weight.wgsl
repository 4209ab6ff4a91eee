// The second pass of the gradients of batch normalisation: those of its parameters, and what that of its input needs.
//
//   bias_grad[c]     = sum over chunks of grad_sums[k,0,c]
//   weight_grad[c]   = sum over chunks of grad_sums[k,1,c]
//   grad_means[0,c]  = bias_grad[c] / rows, but in the units of output_grad
//   grad_means[1,c]  = weight_grad[c] / rows, in the same units
//
// One invocation computes one channel.
// Parts: linear, floats_f32, single, channels, norm_rows, row_chunks, grad_divisors_f16 or grad_divisors_f32.
// CPU twin: NormBackwardWeight in src/ops/norm/gradients.rs.

@group(0) @binding(0) var<storage, read> grad_sums: array<f32>;          // [chunks, 2, channels]
@group(0) @binding(1) var<storage, read_write> weight_grad: array<f32>;  // [channels]
@group(0) @binding(2) var<storage, read_write> bias_grad: array<f32>;    // [channels]
@group(0) @binding(3) var<storage, read_write> grad_means: array<f32>;   // [2, channels]

@compute @workgroup_size(workgroup_size)
fn norm_backward_weight(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let c = linear_index(id, groups);
    if c >= channels { return; }

    var sums = vec2(0.0);
    for (var chunk = 0u; chunk < chunks; chunk++) {
        sums += vec2(grad_sums[2u * chunk * channels + c], grad_sums[(2u * chunk + 1u) * channels + c]);
    }
    bias_grad[c] = sums.x / parameter_divisor;
    weight_grad[c] = sums.y / parameter_divisor;
    grad_means[c] = sums.x / f32(rows);
    grad_means[channels + c] = sums.y / f32(rows);
}
