// Reads from the texture `input`. What is read beyond a texture is some number in WGSL, which must not be used. There is a file
// for each texture, since neither GL nor Metal takes a texture as an argument here.

/// The floats of a texel.
fn input_texel_at(i: u32) -> vec4<f32> {
    return floats_of(textureLoad(input, texel(i)));
}

/// Four neighbouring floats from the `i`-th on, which may lie before the texture.
fn input_four_at(i: u32) -> vec4<f32> {
    let first = u32(i32(i) >> 2u);
    return four_of(input_texel_at(first), input_texel_at(first + 1u), i);
}
