// Kernels with one word for each invocation. Parts: floats_f16 or floats_f32.

alias Numbers = Word;
const NUMBERS = FLOATS_PER_WORD;

/// The floats of a word, and what does not count behind them.
fn values_of(word: Word) -> vec4<f32> {
    return vec4(float_of(word, 0u), float_of(word, 1u), 0.0, 0.0);
}

/// The word of the first floats.
fn numbers_of(values: vec4<f32>) -> Word {
    return word_of(values, 0u);
}
