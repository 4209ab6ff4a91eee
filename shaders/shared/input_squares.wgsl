// A convolution's input in squares of 2x2 positions, as its gradient is computed and stored.

override squares_per_row: u32 = (in_width + 1u) / 2u;
override squares: u32 = (in_height + 1u) / 2u * squares_per_row;

/// The first of a kernel's rows, or columns, for which the first or the second position of a square lies in the map.
fn first_tap(position: u32, pooled: u32) -> u32 {
    return max(position + 1u, pooled * 2u) - pooled * 2u;
}

/// The row, or column, beyond the last of them.
fn end_of_taps(position: u32) -> u32 {
    return min(kernel, position + 2u);
}

/// Stores the four positions of a square.
fn store_square(n: u32, y: u32, x: u32, in_quad: u32, grads: mat4x4<f32>) {
    put(n, y, x, in_quad, grads[0]);
    put(n, y, x + 1u, in_quad, grads[1]);
    put(n, y + 1u, x, in_quad, grads[2]);
    put(n, y + 1u, x + 1u, in_quad, grads[3]);
}
