// Floats of 32 bits in buffers, one to a word.

alias Word = f32;
const FLOATS_PER_WORD = 1u;

/// The `i`-th float of a buffer, out of its word.
fn float_of(word: f32, i: u32) -> f32 {
    return word;
}

/// The word that begins with `values[i]`.
fn word_of(values: vec4<f32>, i: u32) -> f32 {
    return values[i];
}
