// The square of a workgroup, of which each invocation has some samples. Builds on `input_squares`.

/// Its first position.
var<private> square_y: u32;
var<private> square_x: u32;

fn store(n: u32, in_quad: u32, grads: mat4x4<f32>) {
    store_square(n, square_y, square_x, in_quad, grads);
}
