// Weights of a buffer of words.

fn weight_float_at(i: u32) -> f32 {
    return float_of(weight[i / FLOATS_PER_WORD], i);
}

/// Four neighbours, of which the first stands anywhere.
fn weight_floats_at(i: u32) -> vec4<f32> {
    return vec4(weight_float_at(i), weight_float_at(i + 1u), weight_float_at(i + 2u), weight_float_at(i + 3u));
}
