// A convolution's input by phases, the remainders of positions by the stride: positions of a phase meet the same weights.
// Needs from the kernel: input_quad_at(i), four neighbouring floats of the input.

/// Rows of a phase, and strips of four positions of one of them.
override phase_height: u32 = (in_height + stride - 1u) / stride;
override strips_per_row: u32 = ((in_width + stride - 1u) / stride + 3u) / 4u;
override strips_per_phase: u32 = batch * phase_height * strips_per_row;

struct Place {
    n: u32,
    y: u32,
    x: u32,
}

/// The first position of a strip, of which the others are a stride apart.
fn place_of(strip: u32, phase: u32) -> Place {
    let n = strip / (strips_per_row * phase_height);
    let y = strip / strips_per_row % phase_height * stride + phase / stride;
    return Place(n, y, strip % strips_per_row * 4u * stride + phase % stride);
}

/// Stores the gradients of four channels of a position, before the rectifier.
fn put_before(place: Place, j: u32, quad: u32, grads: vec4<f32>) {
    let x = place.x + j * stride;
    if is_rectified {
        let i = ((place.n * in_height + place.y) * in_width + x) * in_channels + quad * 4u;
        put(place.n, place.y, x, quad, grad_before(grads, input_quad_at(i)));
    } else {
        put(place.n, place.y, x, quad, grads);
    }
}
