// Notes in the clock that a parameter has left the range of floats. A gradient that has makes its parameter so, for good.

/// The bits of 2^100. Those of an infinity and of a NaN are greater, like those of all numbers above it. The bits are compared,
/// because compilers fold comparisons of a number with itself.
const LARGEST_BITS = 0x71800000u;

fn note_faults(parameters: vec4<f32>) {
    let magnitudes = bitcast<vec4<u32>>(parameters) & vec4(0x7fffffffu);
    if any(magnitudes >= vec4(LARGEST_BITS)) { atomicStore(&clock[3], 1u); }
}
