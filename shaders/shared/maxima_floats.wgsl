// Stores maxima one output channel at a time, for any number of channels.

@group(0) @binding(3) var<storage, read_write> output: array<f32>;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(4) var<storage, read_write> argmax: array<u32>;  // [batch, pooled_height, pooled_width, quads]

/// Stores the maxima of a window, and nothing beyond the last window. Channels beyond the last have the byte 255.
fn store(window: u32, quad: u32, map: mat4x4<f32>) {
    if window >= windows || quad >= quads { return; }
    let inside = quad * 4u + vec4(0u, 1u, 2u, 3u) < vec4(out_channels);
    let maxima = maxima_of(map);
    let i = window * out_channels + quad * 4u;
    output[i] = maxima.x;
    if inside.y { output[i + 1u] = maxima.y; }
    if inside.z { output[i + 2u] = maxima.z; }
    if inside.w { output[i + 3u] = maxima.w; }
    argmax[window * quads + quad] = pack4xU8(select(vec4(255u), unpack4xU8(codes_of(map)), inside));
}
