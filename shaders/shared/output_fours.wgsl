// Stores a convolution's output four channels at a time. Their number is a multiple of 4.

@group(0) @binding(3) var<storage, read_write> output: array<Four>;  // [batch, out_height, out_width, out_channels]

/// Stores four channels of a position, and nothing beyond the last channel or outside the output.
fn put(n: u32, y: u32, x: u32, quad: u32, values: vec4<f32>) {
    if n >= batch || y >= out_height || x >= out_width || quad >= quads { return; }
    output[((n * out_height + y) * out_width + x) * quads + quad] = packed(rectified(values));
}
