// Inputs of a dense layer, of a buffer of words.

fn input_float_at(i: u32) -> f32 {
    return float_of(input[i / FLOATS_PER_WORD], i);
}

/// The same input of four samples.
fn inputs_of_four(i: u32) -> vec4<f32> {
    return vec4(
        input_float_at(i), input_float_at(i + inputs), input_float_at(i + 2u * inputs), input_float_at(i + 3u * inputs),
    );
}
