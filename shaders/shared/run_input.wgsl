// Reads of a convolution's input from a texture, by runs: a row of the kernel, all channels of each of its positions, is
// one run of floats in the input as in the weights.

/// Four floats of a run that begins at a position, from `k` on; 0 outside the map and beyond the run. What is above and to
/// the left of the map wraps round to huge numbers.
fn input_at(n: u32, y: u32, x: u32, k: u32) -> vec4<f32> {
    let column = x * in_channels + k;
    let i = (n * in_height + y) * in_width * in_channels + column;
    if has_in_quads {
        return select(vec4(0.0), input_texel_at(i / 4u), y < in_height && column < in_width * in_channels);
    }
    let next = vec4(0u, 1u, 2u, 3u);
    let inside = vec4(y < in_height) & (column + next < vec4(in_width * in_channels)) & (k + next < vec4(run));
    return select(vec4(0.0), input_four_at(i), inside);
}
