// Stores the gradient of a convolution's input one channel at a time, for any number of channels.

@group(0) @binding(3) var<storage, read_write> input_grad: array<f32>;  // [batch, in_height, in_width, in_channels]

/// Stores four channels of a position, and nothing beyond the last channel or outside the input.
fn put(n: u32, y: u32, x: u32, in_quad: u32, grads: vec4<f32>) {
    if n >= batch || y >= in_height || x >= in_width { return; }
    let i = ((n * in_height + y) * in_width + x) * in_channels + in_quad * 4u;
    let inside = in_quad * 4u + vec4(0u, 1u, 2u, 3u) < vec4(in_channels);
    if inside.x { input_grad[i] = grads.x; }
    if inside.y { input_grad[i + 1u] = grads.y; }
    if inside.z { input_grad[i + 2u] = grads.z; }
    if inside.w { input_grad[i + 3u] = grads.w; }
}
