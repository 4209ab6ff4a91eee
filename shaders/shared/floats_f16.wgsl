// Floats of 16 bits in buffers, two to a word, the first in the lower bits.

alias Word = u32;
const FLOATS_PER_WORD = 2u;

/// The `i`-th float of a buffer, out of its word.
fn float_of(word: u32, i: u32) -> f32 {
    return unpack2x16float(word >> (i % 2u * 16u)).x;
}

/// The word that begins with `values[i]`.
fn word_of(values: vec4<f32>, i: u32) -> u32 {
    return pack2x16float(vec2(values[i], values[i + 1u]));
}
