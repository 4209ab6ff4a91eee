// Gradients of a convolution with respect to weights and bias, one partial sum for each chunk of samples; an invocation for four
// floats of a row of the kernel, a quad of a run, of which it has up to 16 output channels: up to 4 tiles of 4 channels by 4
// floats, in registers.
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

override run_quads: u32 = (run + 3u) / 4u;

/// The first position of a row of the output, and the first quad of channels.
var<private> first_position: u32;
var<private> first_quad: u32;

fn quad_at(x: u32, q: u32) -> vec4<f32> {
    let i = (first_position + x) * out_channels + (first_quad + q) * 4u;
    if has_out_quads { return select(vec4(0.0), output_grad_texel_at(i / 4u), x < out_width); }
    return select(vec4(0.0), output_grad_four_at(i), x < out_width);
}

fn put_quad(q: u32, row: u32, k: u32) {
    if q >= tile_quads { return; }
    let i = q * 4u;
    let o = (first_quad + q) * 4u;
    put_weights(row, o, sums[i]);
    if k + 1u < run { put_weights(row + 1u, o, sums[i + 1u]); }
    if k + 2u < run { put_weights(row + 2u, o, sums[i + 2u]); }
    if k + 3u < run { put_weights(row + 3u, o, sums[i + 3u]); }
}

fn put_bias(q: u32, chunk: u32, local: u32, biases: Rows) {
    if q >= tile_quads { return; }
    let all = row_of(biases, 0u, q) + row_of(biases, 1u, q) + row_of(biases, 2u, q) + row_of(biases, 3u, q);
    if local == 0u { put_biases(chunk, (first_quad + q) * 4u, all); }
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
    let ky = own / run_quads;
    let k = own % run_quads * 4u;
    var biases = Rows();
    for (var n = chunk * samples_per_chunk; n < end_of_chunk(chunk); n++) {
        for (var y = 0u; y < out_height; y++) {
            first_position = (n * out_height + y) * out_width;
            let in_y = y * stride + ky - before;
            for (var x = 0u; x < out_width; x += 4u) {
                let rows = rows_at(x, lane % 8u);
                biases.low += rows.low;
                biases.high += rows.high;
                let in_x = x * stride - before;
                let seen = transpose(mat4x4(
                    input_at(n, in_y, in_x, k), input_at(n, in_y, in_x + stride, k),
                    input_at(n, in_y, in_x + 2u * stride, k), input_at(n, in_y, in_x + 3u * stride, k),
                ));
                add_products(4u, rows, seen[0], seen[1], seen[2], seen[3]);
            }
        }
    }
    if ky < kernel {
        let row = (chunk * kernel + ky) * run + k;
        put_quad(0u, row, k); put_quad(1u, row, k); put_quad(2u, row, k); put_quad(3u, row, k);
    }
    if group.x == 0u {
        put_bias(0u, chunk, local, biases); put_bias(1u, chunk, local, biases);
        put_bias(2u, chunk, local, biases); put_bias(3u, chunk, local, biases);
    }
}
