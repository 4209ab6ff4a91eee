// The operands of a dense layer's gradients, read from textures, four outputs at a time. A read beyond a texture gives some
// number in WGSL, which is not used.

@group(0) @binding(0) var input: Texels;        // [batch, inputs]
@group(0) @binding(1) var output_grad: Texels;  // [batch, outputs]

/// Four gradients of a sample, 0 where there is no such sample or output.
fn output_grad_at(n: u32, o: u32) -> vec4<f32> {
    let i = n * outputs + o;
    if has_out_quads { return select(vec4(0.0), output_grad_texel_at(i / 4u), n < batch && o < outputs); }
    return select(vec4(0.0), output_grad_four_at(i), is_output(o) & vec4(n < batch));
}

/// Four inputs of a sample. Beyond the last sample: those of the last one. They are multiplied by 0.
fn input_at(n: u32, k: u32) -> vec4<f32> {
    let i = min(n, batch - 1u) * inputs + k;
    if has_in_quads { return input_texel_at(i / 4u); }
    return input_four_at(i);
}
