// A dense layer without activation, for 32 samples and four neighbouring outputs of each invocation. A read beyond a texture
// gives some number in WGSL, which is not used.

@group(0) @binding(0) var input: Texels;                    // [batch, inputs]
@group(0) @binding(1) var weight: Texels;                   // [inputs, outputs]
@group(0) @binding(2) var<storage, read> bias: array<f32>;  // [outputs]

/// Four inputs of a sample, 0 beyond the last.
fn input_at(n: u32, k: u32) -> vec4<f32> {
    let i = n * inputs + k;
    if has_in_quads { return select(vec4(0.0), input_texel_at(i / 4u), k < inputs); }
    return select(vec4(0.0), input_four_at(i), k + vec4(0u, 1u, 2u, 3u) < vec4(inputs));
}

/// Four inputs of each of four samples.
fn inputs_at(n: u32, k: u32) -> mat4x4<f32> {
    return mat4x4(input_at(n, k), input_at(n + 1u, k), input_at(n + 2u, k), input_at(n + 3u, k));
}

/// The weights of four outputs for an input. Beyond the last input: the last one's weights. They are multiplied by 0.
fn weight_at(k: u32, o: u32) -> vec4<f32> {
    let i = min(k, inputs - 1u) * outputs + o;
    if has_out_quads { return weight_texel_at(i / 4u); }
    return weight_four_at(i);
}

/// The sums of 32 samples from `first` on and four outputs from `o` on.
fn sum_products(first: u32, o: u32, lane: u32) {
    let n = first + lane % 8u * 4u;
    fill_sums(vec4(bias[o], bias[o + 1u], bias[o + 2u], bias[o + 3u]));
    for (var k = 0u; k < inputs; k += 8u) {
        columns = array(
            weight_at(k, o), weight_at(k + 1u, o), weight_at(k + 2u, o), weight_at(k + 3u, o),
            weight_at(k + 4u, o), weight_at(k + 5u, o), weight_at(k + 6u, o), weight_at(k + 7u, o),
        );
        add_products(inputs_at(n, k), inputs_at(n, k + 4u));
    }
}
