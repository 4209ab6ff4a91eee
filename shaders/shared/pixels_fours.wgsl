// Pixels of four channels in workgroup memory. The number of input channels is a multiple of 4.
// Needs from the kernel: tile_channels, position, row, pixels, input, weight_grad_partial.

alias Pixel = vec4<f32>;
const PIXEL_FLOATS = 4u;
/// Sums of an invocation, at most.
const MOST_SUMS = 12u;

/// Loads of a row of a map, a pixel each.
override loads_per_row: u32 = in_width * position;

/// Loads a pixel of a row as of `place`; zeros if the row is not in the input. Channels beyond the last are not used.
fn put_pixels(place: u32, n: u32, y: u32, i: u32, first_c: u32, is_inside: bool) {
    let at = ((n * in_height + y) * in_width + i / position) * in_quads + first_c / 4u + i % position;
    pixels[place + i] = select(vec4(0.0), unpacked(input[at]), is_inside);
}

fn first_of(pixel: vec4<f32>) -> f32 {
    return pixel.x;
}

/// Stores the sums of a pixel at a kernel position, and nothing beyond the last channel.
fn put_weights(tap: u32, c: u32, o: u32, sums: vec4<f32>) {
    if c >= in_channels { return; }
    let grads = sums / parameter_divisor;
    let i = (tap * in_channels + c) * out_channels + o;
    weight_grad_partial[i] = grads.x;
    weight_grad_partial[i + out_channels] = grads.y;
    weight_grad_partial[i + 2u * out_channels] = grads.z;
    weight_grad_partial[i + 3u * out_channels] = grads.w;
}
