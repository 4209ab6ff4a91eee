// Reads of a convolution's input.

@group(0) @binding(0) var<storage, read> input: array<f32>;  // [batch, in_channels, in_height, in_width]

/// The input at a position of a plane, 0 outside; those above and to the left wrap round to huge numbers. A
/// read beyond a buffer gives some number in WGSL, which is not used.
fn input_at(plane: u32, y: u32, x: u32) -> f32 {
    let inside = y < in_height && x < in_width;
    return select(0.0, input[(plane * in_height + y) * in_width + x], inside);
}
