// Gradients of a dense (fully connected) layer's parameters.
//
//   weight_grad[k,o] = sum over n of input[n,k] * output_grad[n,o]
//   bias_grad[o]     = sum over n of output_grad[n,o]
//
// In half precision the gradients of activations are those of shared/grad_divisors_f16.wgsl, and both are divided by
// loss_scale * batch. One invocation computes one element.
// `lanes` shares loads between 8 lanes: fastest on software adapters with subgroups.
//
// Parts: floats_f16 or floats_f32, dense, linear, grad_divisors_f16 or grad_divisors_f32, dense_weight_grads, input_floats,
// dense_parameter_sums.
// CPU twin: DenseBackwardWeight in src/ops/dense/backward.rs.

@compute @workgroup_size(workgroup_size)
fn dense_backward_weight(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    sum_parameter_grad(linear_index(id, groups));
}
