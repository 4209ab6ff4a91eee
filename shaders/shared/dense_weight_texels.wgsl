// The weights of a dense layer in a backward kernel, read from a texture, four outputs at a time. A read beyond a texture gives
// some number in WGSL, which is not used.

@group(0) @binding(2) var weight: Texels;  // [inputs, outputs]

/// The weights of four outputs for an input, 0 where there is no such output.
fn weight_at(k: u32, o: u32) -> vec4<f32> {
    let i = k * outputs + o;
    if has_out_quads { return select(vec4(0.0), weight_texel_at(i / 4u), o < outputs); }
    return select(vec4(0.0), weight_four_at(i), is_output(o));
}
