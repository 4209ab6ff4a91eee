// Gradients of a convolution with respect to weights and bias, one partial sum for each chunk of samples, for GPUs and for
// software without subgroups; a workgroup for a tile of 32 quads of floats of a row of the kernel, by some quads of channels,
// of which each invocation has two quads of floats and four channels.
//
//   weight_grad_partial[chunk,ky,kx,c,o] = sum over the chunk's n and all y, x of
//       output_grad[n,y,x,o] * input[n, y * stride + ky - before, x * stride + kx - before, c]
//   bias_grad_partial[chunk,o]           = sum over the same of output_grad[n,y,x,o]
//
// with zeros outside the input; the chunks are added in order later. The sum's terms are the chunk's n, y, x. Beyond the last
// quad of the kernel there is one that has met ones, for the bias.
//
// Parts: stride, conv2d, runs, tiles, blocks, outer, block_sums, block_products, floats_f16 or floats_f32, output_grad_floats,
// chunks, chunk_products, grad_divisors_f16 or grad_divisors_f32, put_parameter_grads.
// CPU twin: Conv2dBackwardWeight in src/ops/conv2d/gradients.rs.

@group(0) @binding(0) var<storage, read> input: array<Word>;        // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> output_grad: array<Word>;  // [batch, out_height, out_width, out_channels]
@group(0) @binding(2) var<storage, read_write> weight_grad_partial: array<f32>;  // [chunks, ky, kx, c, o]
@group(0) @binding(3) var<storage, read_write> bias_grad_partial: array<f32>;    // [chunks, out_channels]

override row_floats: u32 = in_width * in_channels;
override run_quads: u32 = (run + 3u) / 4u;

/// A float of a row of the input; 0 outside. What is to the left of it wraps round to huge numbers. A read beyond a buffer
/// gives some number in WGSL, which here and below is not used.
fn input_float_at(row: u32, column: u32, is_inside: bool) -> f32 {
    let i = row * row_floats + column;
    return select(0.0, float_of(input[i / FLOATS_PER_WORD], i), is_inside && column < row_floats);
}

/// What a quad of floats of the kernel has met at a position. Floats beyond the end of a run are not stored.
fn rows_at(quad: u32, term: u32) -> vec4<f32> {
    if term >= terms { return vec4(0.0); }
    if quad >= kernel * run_quads { return vec4(1.0); }
    let y = term % area / out_width * stride + quad / run_quads - before;
    let row = (first_sample + term / area) * in_height + y;
    let column = (term % out_width * stride - before) * in_channels + quad % run_quads * 4u;
    let is_inside = y < in_height;
    return vec4(
        input_float_at(row, column, is_inside), input_float_at(row, column + 1u, is_inside),
        input_float_at(row, column + 2u, is_inside), input_float_at(row, column + 3u, is_inside),
    );
}

/// The gradients of a position. Those beyond the last channel are not used.
fn columns_at(term: u32, quad: u32) -> vec4<f32> {
    if term >= terms { return vec4(0.0); }
    let i = (first_sample * area + term) * out_channels + quad * 4u;
    return output_grad_floats_at(i);
}

fn store(run_quad: u32, quad: u32, grads: mat4x4<f32>) {
    let o = quad * 4u;
    if run_quad == kernel * run_quads { put_biases(chunk, o, grads[0]); }
    if run_quad >= kernel * run_quads { return; }
    let k = run_quad % run_quads * 4u;
    let row = (chunk * kernel + run_quad / run_quads) * run + k;
    put_weights(row, o, grads[0]);
    if k + 1u < run { put_weights(row + 1u, o, grads[1]); }
    if k + 2u < run { put_weights(row + 2u, o, grads[2]); }
    if k + 3u < run { put_weights(row + 3u, o, grads[3]); }
}
