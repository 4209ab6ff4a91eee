// Stores a convolution's output one channel at a time, for any number of channels.

@group(0) @binding(3) var<storage, read_write> output: array<f32>;  // [batch, out_height, out_width, out_channels]

/// Stores four channels of a position, and nothing beyond the last channel or outside the output.
fn put(n: u32, y: u32, x: u32, quad: u32, values: vec4<f32>) {
    if n >= batch || y >= out_height || x >= out_width { return; }
    let i = ((n * out_height + y) * out_width + x) * out_channels + quad * 4u;
    let inside = quad * 4u + vec4(0u, 1u, 2u, 3u) < vec4(out_channels);
    let kept = rectified(values);
    if inside.x { output[i] = kept.x; }
    if inside.y { output[i + 1u] = kept.y; }
    if inside.z { output[i + 2u] = kept.z; }
    if inside.w { output[i + 3u] = kept.w; }
}
