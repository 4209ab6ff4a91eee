// Floats of 32 bits in textures, four to a texel, and in buffers, four at a time.

alias Texels = texture_storage_2d<rgba32float, read>;
alias Four = vec4<f32>;

/// The floats of a texel that has been read.
fn floats_of(texel: vec4<f32>) -> vec4<f32> {
    return texel;
}

/// Four floats as they lie in a buffer.
fn packed(values: vec4<f32>) -> Four {
    return values;
}

/// The same, back again.
fn unpacked(four: Four) -> vec4<f32> {
    return four;
}
