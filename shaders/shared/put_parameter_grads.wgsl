// Stores partial sums of the gradients of a convolution's weights and bias, four output channels at a time.

/// Stores those for a float of the kernel.
fn put_weights(row: u32, o: u32, sums: vec4<f32>) {
    let grads = sums / parameter_divisor;
    let i = row * out_channels + o;
    if o < out_channels { weight_grad_partial[i] = grads.x; }
    if o + 1u < out_channels { weight_grad_partial[i + 1u] = grads.y; }
    if o + 2u < out_channels { weight_grad_partial[i + 2u] = grads.z; }
    if o + 3u < out_channels { weight_grad_partial[i + 3u] = grads.w; }
}

fn put_biases(chunk: u32, o: u32, sums: vec4<f32>) {
    let grads = sums / parameter_divisor;
    let i = chunk * out_channels + o;
    if o < out_channels { bias_grad_partial[i] = grads.x; }
    if o + 1u < out_channels { bias_grad_partial[i + 1u] = grads.y; }
    if o + 2u < out_channels { bias_grad_partial[i + 2u] = grads.z; }
    if o + 3u < out_channels { bias_grad_partial[i + 3u] = grads.w; }
}
