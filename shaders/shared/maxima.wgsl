// The maximum of a window of 2x2 and its place, for four channels at a time.

/// The maxima after ReLU.
fn maxima_of(map: mat4x4<f32>) -> vec4<f32> {
    return max(max(max(map[0], map[1]), max(map[2], map[3])), vec4(0.0));
}

/// For each channel a byte: the place of the first of the largest, row by row, 255 where it is not above 0.
fn codes_of(map: mat4x4<f32>) -> u32 {
    // A later one takes over only where it is larger.
    let first_row = max(map[0], map[1]);
    let second_row = max(map[2], map[3]);
    let in_first = select(vec4(0u), vec4(1u), map[1] > map[0]);
    let in_second = select(vec4(2u), vec4(3u), map[3] > map[2]);
    let code = select(in_first, in_second, second_row > first_row);
    return pack4xU8(select(vec4(255u), code, max(first_row, second_row) > vec4(0.0)));
}
