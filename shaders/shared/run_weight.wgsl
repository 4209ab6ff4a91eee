// Reads of a convolution's weights from a texture. A row is one float of the kernel, with the weights of all output channels.

/// Four output channels of a row, 0 beyond the last channel. Beyond the last row: the last one's weights.
fn weight_at(row: u32, quad: u32) -> vec4<f32> {
    let i = min(row, kernel * run - 1u) * out_channels + quad * 4u;
    if has_out_quads { return weight_texel_at(i / 4u); }
    let inside = quad * 4u + vec4(0u, 1u, 2u, 3u) < vec4(out_channels);
    return select(vec4(0.0), weight_four_at(i), inside);
}

/// Four output channels of four rows.
fn weights_at(row: u32, quad: u32) -> mat4x4<f32> {
    if has_in_quads && has_out_quads {
        let i = row * quads + quad;
        return mat4x4(
            weight_texel_at(i), weight_texel_at(i + quads), weight_texel_at(i + 2u * quads), weight_texel_at(i + 3u * quads),
        );
    }
    return mat4x4(weight_at(row, quad), weight_at(row + 1u, quad), weight_at(row + 2u, quad), weight_at(row + 3u, quad));
}
