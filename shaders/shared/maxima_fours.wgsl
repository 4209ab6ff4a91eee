// Stores maxima four output channels at a time. Their number is a multiple of 4.

@group(0) @binding(3) var<storage, read_write> output: array<Four>;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(4) var<storage, read_write> argmax: array<u32>;   // [batch, pooled_height, pooled_width, quads]

/// Stores the maxima of a window, and nothing beyond the last window or channel.
fn store(window: u32, quad: u32, map: mat4x4<f32>) {
    if window >= windows || quad >= quads { return; }
    output[window * quads + quad] = packed(maxima_of(map));
    argmax[window * quads + quad] = codes_of(map);
}
