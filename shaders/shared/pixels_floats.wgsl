// Pixels of one channel in workgroup memory. A tile has all input channels, and the floats of a row of the input are a multiple
// of 4 in number.
// Needs from the kernel: row, pixels, input, weight_grad_partial.

alias Pixel = f32;
const PIXEL_FLOATS = 1u;
/// Sums of an invocation, at most.
const MOST_SUMS = 32u;

/// Loads of a row of a map, four pixels each.
override loads_per_row: u32 = in_width * in_channels / 4u;

/// Loads four pixels of a row as of `place`; zeros if the row is not in the input.
fn put_pixels(place: u32, n: u32, y: u32, i: u32, first_c: u32, is_inside: bool) {
    let four = select(vec4(0.0), unpacked(input[(n * in_height + y) * loads_per_row + i]), is_inside);
    pixels[place + 4u * i] = four.x;
    pixels[place + 4u * i + 1u] = four.y;
    pixels[place + 4u * i + 2u] = four.z;
    pixels[place + 4u * i + 3u] = four.w;
}

fn first_of(pixel: f32) -> f32 {
    return pixel;
}

/// Stores the sum of a pixel at a kernel position.
fn put_weights(tap: u32, c: u32, o: u32, sum: f32) {
    weight_grad_partial[(tap * in_channels + c) * out_channels + o] = sum / parameter_divisor;
}
