// Gradients of convolution, ReLU and max-pooling over windows of 2x2 with respect to weights and bias, one partial sum for
// each chunk of samples, for GPUs; a workgroup for a tile of some input channels at all kernel positions by some output
// channels.
//
//   weight_grad_partial[chunk,ky,kx,c,o] = sum over the chunk's windows n, y, x that have a maximum in channel o of
//       output_grad[n,y,x,o] * input[n, y * 2 + dy + ky - before, x * 2 + dx + kx - before, c]
//   bias_grad_partial[chunk,o]           = sum over the same of output_grad[n,y,x,o]
//
// where argmax holds dy * 2 + dx, with zeros outside the input; the chunks are added in order later. A window's gradient in a
// channel meets one position, that of the maximum, so that three quarters of the convolution's products are never made.
//
// The workgroup loads what some rows of windows meet in the maps of some samples, and for each window and output channel its
// gradient and where its maximum stands among them. An invocation has one output channel and some pixels of each of the kernel's
// rows, of four input channels or one: for each window it reads the maximum and these pixels, whose distances from the first
// are known to the compiler. `splits` invocations share a sum, each with every `splits`-th window. Neighbours read neighbouring
// pixels.
//
// Parts: conv2d, runs, conv_relu_pool, chunks, tiles, floats_f16 or floats_f32, texels_f16 or texels_f32, grad_divisors_f16 or
// grad_divisors_f32, pixels_floats or pixels_fours.
// CPU twin: ConvReluPoolBackwardWeight in src/ops/conv_relu_pool/gradients.rs.

override tile_channels: u32;  // input channels of a tile
override tile_outputs: u32;  // output channels of a tile
override band_samples: u32;  // samples in memory at a time
override window_rows: u32;  // rows of windows in memory at a time
override span: u32;  // pixels of an invocation in a row of the kernel; a row has a multiple of it
override tile_pixels: u32;  // pixels in memory, at least those of these rows

override position: u32 = tile_channels / PIXEL_FLOATS;  // pixels of a position
override row: u32 = (in_width + padding) * position;
override band_rows: u32 = 2u * window_rows + kernel - 1u;  // rows of a map in memory
override band: u32 = band_rows * row;
override band_windows: u32 = window_rows * pooled_width;
override tile_maxima: u32 = band_samples * band_windows * tile_outputs;

override sharers: u32 = kernel * position / span;  // invocations that have an output channel's sums
override owners: u32 = sharers * tile_outputs;
override splits: u32 = workgroup_size / owners;

@group(0) @binding(0) var<storage, read> input: array<Four>;        // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> output_grad: array<Word>;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(2) var<storage, read> argmax: array<u32>;        // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(3) var<storage, read_write> weight_grad_partial: array<f32>;  // [chunks, ky, kx, c, o]
@group(0) @binding(4) var<storage, read_write> bias_grad_partial: array<f32>;    // [chunks, out_channels]

/// A window's gradient in a channel, and where its maximum stands in `pixels`.
struct Maximum {
    grad: f32,
    place: u32,
}

/// The padding of the maps, and between it what has been loaded. After the last window, sums of the splits.
var<workgroup> pixels: array<Pixel, tile_pixels>;
var<workgroup> maxima: array<Maximum, tile_maxima>;

/// A window's maximum; a gradient of 0 where it has none, and beyond the last sample or row. Beyond the last channel: some
/// numbers, whose sums are not stored.
fn maximum_at(tile_n: u32, n: u32, tile_y: u32, y: u32, x: u32, o: u32, end: u32) -> Maximum {
    let i = (n * pooled_height + y) * pooled_width + x;
    let code = extractBits(argmax[i * quads + o / 4u], o % 4u * 8u, 8u);
    let exists = code != 255u && n < end && y < pooled_height;
    let g = i * out_channels + o;
    let grad = select(0.0, float_of(output_grad[g / FLOATS_PER_WORD], g), exists);
    let place = tile_n * band + (tile_y * 2u + ((code >> 1u) & 1u)) * row + (x * 2u + (code & 1u)) * position;
    return Maximum(grad, place);
}

/// Loads the rows of windows of some samples as of `first_y`.
fn load(first_n: u32, first_y: u32, first_c: u32, first_o: u32, end: u32, local: u32) {
    for (var i = local; i < band_samples * band_rows * loads_per_row; i += workgroup_size) {
        let n = first_n + i / loads_per_row / band_rows;
        let y = first_y * 2u + i / loads_per_row % band_rows - before;
        let place = i / loads_per_row * row + before * position;
        // Rows above the input wrap round to huge numbers.
        put_pixels(place, n, y, i % loads_per_row, first_c, y < in_height && n < end);
    }
    for (var i = local; i < tile_maxima; i += workgroup_size) {
        let window = i / tile_outputs;
        let n = window / band_windows;
        let y = window % band_windows / pooled_width;
        maxima[i] = maximum_at(n, first_n + n, y, first_y + y, window % pooled_width, first_o + i % tile_outputs, end);
    }
}

/// The sum of the parts of all splits, added in pairs, for the first of them.
fn total(local: u32, own: Pixel) -> Pixel {
    if splits == 1u { return own; }
    workgroupBarrier();  // others may still read what is written over
    pixels[local] = own;
    workgroupBarrier();
    for (var left = splits; left >= 2u; left = (left + 1u) / 2u) {
        let other = local + (left + 1u) / 2u * owners;
        if other < left * owners { pixels[local] += pixels[other]; }
        workgroupBarrier();
    }
    return pixels[local];
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_backward_weight(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    // No invocation may leave early: those beyond the last channel help to load, and store nothing.
    let first_c = group.x * tile_channels;
    let first_o = group.y * tile_outputs;
    let chunk = group.z;
    let end = end_of_chunk(chunk);
    let first_pixel = local % sharers;
    let own_output = local % owners / sharers;

    for (var i = local; i < tile_pixels; i += workgroup_size) {
        pixels[i] = Pixel();
    }
    var bias_grad = 0.0;
    var sums: array<Pixel, MOST_SUMS>;
    for (var first_n = chunk * samples_per_chunk; first_n < end; first_n += band_samples) {
        for (var first_y = 0u; first_y < pooled_height; first_y += window_rows) {
            workgroupBarrier();
            load(first_n, first_y, first_c, first_o, end, local);
            workgroupBarrier();
            for (var window = local / owners; window < band_samples * band_windows; window += splits) {
                let maximum = maxima[window * tile_outputs + own_output];
                let place = maximum.place + first_pixel;
                bias_grad += maximum.grad;
                for (var i = 0u; i < kernel * span; i++) {
                    sums[i] += maximum.grad * pixels[place + i / span * row + i % span * sharers];
                }
            }
        }
    }

    let o = first_o + own_output;
    let stores = local < owners && o < out_channels;
    for (var i = 0u; i < kernel * span; i++) {
        let pixel = first_pixel + i % span * sharers;
        let tap = (chunk * kernel + i / span) * kernel + pixel / position;
        let sum = total(local, sums[0]);
        // Compilers do not unroll this loop, and would not hold sums in registers if it indexed them.
        for (var next = 1u; next < kernel * span; next++) {
            sums[next - 1u] = sums[next];
        }
        if stores { put_weights(tap, first_c + pixel % position * PIXEL_FLOATS, o, sum); }
    }
    let bias_sum = first_of(total(local, Pixel(bias_grad)));
    if stores && first_c + first_pixel == 0u {
        bias_grad_partial[chunk * out_channels + o] = bias_sum / parameter_divisor;
    }
}
