// Stores the gradient of a convolution's input four channels at a time. Their number is a multiple of 4.

@group(0) @binding(3) var<storage, read_write> input_grad: array<Four>;  // [batch, in_height, in_width, in_channels]

/// Stores four channels of a position, and nothing beyond the last channel or outside the input.
fn put(n: u32, y: u32, x: u32, in_quad: u32, grads: vec4<f32>) {
    if n >= batch || y >= in_height || x >= in_width || in_quad >= in_quads { return; }
    input_grad[((n * in_height + y) * in_width + x) * in_quads + in_quad] = packed(grads);
}
