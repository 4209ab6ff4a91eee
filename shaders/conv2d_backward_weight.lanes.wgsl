// Gradients of a convolution with respect to weights and bias, one partial sum for each chunk of samples; an invocation for four
// floats of a row of the kernel, a quad of a run, of which it has up to 16 output channels: up to 4 tiles of 4 channels by 4
// floats, in registers. Where input channels come in fours and the stride is 1, it has the quads of up to three neighbouring
// columns, which see each other's inputs.
//
//   weight_grad_partial[chunk,ky,kx,c,o] = sum over the chunk's n and all y, x of
//       output_grad[n,y,x,o] * input[n, y * stride + ky - before, x * stride + kx - before, c]
//   bias_grad_partial[chunk,o]           = sum over the same of output_grad[n,y,x,o]
//
// with zeros outside the input; the chunks are added in order later. Four positions of a row are summed over at a time. All
// invocations need the same gradients at a time: each of the first 8 lanes loads some of them for the others, and adds them up
// for the bias. Needs subgroups of 8 lanes or more.
//
// Parts: stride, conv2d, runs, tiles, texels, texels_f16 or texels_f32, strip_products, lane_rows, chunks, grad_divisors_f16 or
// grad_divisors_f32, output_grad_texels, input_texels, run_input, put_parameter_grads.
// CPU twin: Conv2dBackwardWeight in src/ops/conv2d/gradients.rs.

@group(0) @binding(0) var input: Texels;        // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var output_grad: Texels;  // [batch, out_height, out_width, out_channels]
@group(0) @binding(2) var<storage, read_write> weight_grad_partial: array<f32>;  // [chunks, ky, kx, c, o]
@group(0) @binding(3) var<storage, read_write> bias_grad_partial: array<f32>;    // [chunks, out_channels]

const SUMS = 48u;

/// Columns of an invocation: 1 to 3.
override tile_columns: u32;

/// A row of the kernel: parts of so many quads.
override parts: u32 = select(1u, (kernel + tile_columns - 1u) / tile_columns, tile_columns > 1u);
override part_quads: u32 = select((run + 3u) / 4u, in_quads, tile_columns > 1u);

/// The first position of a row of the output, and the first quad of channels.
var<private> first_position: u32;
var<private> first_quad: u32;

fn quad_at(x: u32, q: u32) -> vec4<f32> {
    let i = (first_position + x) * out_channels + (first_quad + q) * 4u;
    if has_out_quads { return select(vec4(0.0), output_grad_texel_at(i / 4u), x < out_width); }
    return select(vec4(0.0), output_grad_four_at(i), x < out_width);
}

/// Adds the products of the rows and what a column sees of four positions.
fn add_column(column: u32, rows: Rows, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) {
    let seen = transpose(mat4x4(a, b, c, d));
    add_products(column * 16u, 4u, rows, seen[0], seen[1], seen[2], seen[3]);
}

fn put_quad(column: u32, q: u32, row: u32, k: u32) {
    if q >= tile_quads { return; }
    let i = column * 16u + q * 4u;
    let o = (first_quad + q) * 4u;
    put_weights(row, o, sums[i]);
    if k + 1u < run { put_weights(row + 1u, o, sums[i + 1u]); }
    if k + 2u < run { put_weights(row + 2u, o, sums[i + 2u]); }
    if k + 3u < run { put_weights(row + 3u, o, sums[i + 3u]); }
}

/// Stores the sums of a column; `k` is its float of the first one.
fn put_column(column: u32, first_row: u32, first_k: u32) {
    let row = first_row + column * in_channels;
    let k = first_k + column * in_channels;
    if column >= tile_columns || k >= run { return; }
    put_quad(column, 0u, row, k); put_quad(column, 1u, row, k);
    put_quad(column, 2u, row, k); put_quad(column, 3u, row, k);
}

fn put_bias(q: u32, chunk: u32, local: u32, biases: Rows) {
    let all = row_of(biases, 0u, q) + row_of(biases, 1u, q) + row_of(biases, 2u, q) + row_of(biases, 3u, q);
    if q < tile_quads && local == 0u { put_biases(chunk, (first_quad + q) * 4u, all); }
}

@compute @workgroup_size(workgroup_size)
fn conv2d_backward_weight(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last quad help to load gradients, and store nothing.
    let chunk = group.z;
    first_quad = group.y * tile_quads;
    let own = group.x * workgroup_size + local;
    let ky = own / (parts * part_quads);
    let k = own / part_quads % parts * tile_columns * in_channels + own % part_quads * 4u;
    var biases = Rows();
    for (var n = chunk * samples_per_chunk; n < end_of_chunk(chunk); n++) {
        for (var y = 0u; y < out_height; y++) {
            first_position = (n * out_height + y) * out_width;
            let in_y = y * stride + ky - before;
            // What the last columns have seen at a position the first ones see at the next.
            var p0: vec4<f32>;
            var p1: vec4<f32>;
            if tile_columns > 1u { p0 = input_at(n, in_y, 0u - before, k); }
            if tile_columns > 2u { p1 = input_at(n, in_y, 1u - before, k); }
            for (var x = 0u; x < out_width; x += 4u) {
                let rows = rows_at(x, lane % 8u);
                biases.low += rows.low;
                biases.high += rows.high;
                let in_x = x * stride - before;
                if tile_columns < 2u { p0 = input_at(n, in_y, in_x, k); }
                if tile_columns < 3u { p1 = input_at(n, in_y, in_x + stride, k); }
                let p2 = input_at(n, in_y, in_x + 2u * stride, k);
                let p3 = input_at(n, in_y, in_x + 3u * stride, k);
                add_column(0u, rows, p0, p1, p2, p3);
                if tile_columns < 2u { continue; }
                let p4 = input_at(n, in_y, in_x + 4u, k);
                add_column(1u, rows, p1, p2, p3, p4);
                p0 = p4;
                if tile_columns < 3u { continue; }
                let p5 = input_at(n, in_y, in_x + 5u, k);
                add_column(2u, rows, p2, p3, p4, p5);
                p1 = p5;
            }
        }
    }
    if ky < kernel {
        let row = (chunk * kernel + ky) * run + k;
        put_column(0u, row, k); put_column(1u, row, k); put_column(2u, row, k);
    }
    if group.x == 0u {
        put_bias(0u, chunk, local, biases); put_bias(1u, chunk, local, biases);
        put_bias(2u, chunk, local, biases); put_bias(3u, chunk, local, biases);
    }
}
