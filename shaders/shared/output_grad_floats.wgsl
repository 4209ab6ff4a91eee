// Gradients of a buffer of words.

fn output_grad_float_at(i: u32) -> f32 {
    return float_of(output_grad[i / FLOATS_PER_WORD], i);
}

/// Four neighbours, of which the first stands anywhere.
fn output_grad_floats_at(i: u32) -> vec4<f32> {
    return vec4(
        output_grad_float_at(i), output_grad_float_at(i + 1u), output_grad_float_at(i + 2u), output_grad_float_at(i + 3u),
    );
}
