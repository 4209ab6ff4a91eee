// Floats of 16 bits in textures, four to a texel of two words, and in buffers, four at a time.

alias Texels = texture_storage_2d<rg32uint, read>;
alias Four = vec2<u32>;

/// The floats of a texel that has been read.
fn floats_of(texel: vec4<u32>) -> vec4<f32> {
    return vec4(unpack2x16float(texel.x), unpack2x16float(texel.y));
}

/// Four floats as they lie in a buffer.
fn packed(values: vec4<f32>) -> Four {
    return vec2(pack2x16float(values.xy), pack2x16float(values.zw));
}

/// The same, back again.
fn unpacked(four: Four) -> vec4<f32> {
    return floats_of(vec4(four, 0u, 0u));
}
