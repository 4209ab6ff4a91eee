// Gradients of a convolution with respect to weights and bias, one partial sum for each chunk of samples, for GPUs; a workgroup
// for a tile of 32 quads of floats of a row of the kernel, by some quads of channels, of which each invocation has two quads of
// floats and eight channels.
//
//   weight_grad_partial[chunk,ky,kx,c,o] = sum over the chunk's n and all y, x of
//       output_grad[n,y,x,o] * input[n, y * stride + ky - before, x * stride + kx - before, c]
//   bias_grad_partial[chunk,o]           = sum over the same of output_grad[n,y,x,o]
//
// with zeros outside the input; the chunks are added in order later. The sum's terms are the chunk's n, y, x. Beyond the last
// quad of the kernel there is one that has met ones, for the bias. Needs numbers of channels that are multiples of 4.
//
// Parts: stride, conv2d, runs, tiles, blocks, outer, block_sums, block_products_ahead, fours_ahead, texels_f16 or texels_f32,
// columns_ahead, chunks, chunk_products, grad_divisors_f16 or grad_divisors_f32, put_parameter_grads.
// CPU twin: Conv2dBackwardWeight in src/ops/conv2d/gradients.rs.

@group(0) @binding(0) var<storage, read> input: array<Four>;        // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> output_grad: array<Four>;  // [batch, out_height, out_width, out_channels]
@group(0) @binding(2) var<storage, read_write> weight_grad_partial: array<f32>;  // [chunks, ky, kx, c, o]
@group(0) @binding(3) var<storage, read_write> bias_grad_partial: array<f32>;    // [chunks, out_channels]

override run_quads: u32 = run / 4u;

/// The rows and columns of the input that a quad of the kernel meets at four terms. What is above and to the left of it wraps
/// round to huge numbers.
fn rows_of_map(quad: u32, first: u32) -> vec4<u32> {
    return (first + vec4(0u, 1u, 2u, 3u)) % area / out_width * stride + quad / run_quads - before;
}

fn columns_of_map(quad: u32, first: u32) -> vec4<u32> {
    return (first + vec4(0u, 1u, 2u, 3u)) % out_width * stride + quad % run_quads / in_quads - before;
}

/// A read beyond a buffer gives some number in WGSL, which here and below is not used.
fn load_rows(quad: u32, first: u32, own: u32) -> Rows {
    let n = first_sample + (first + own + vec4(0u, 1u, 2u, 3u)) / area;
    let y = n * in_height + rows_of_map(quad, first + own);
    let i = (y * in_width + columns_of_map(quad, first + own)) * in_quads + quad % in_quads;
    return Rows(input[i.x], input[i.y], input[i.z], input[i.w]);
}

/// What a quad of floats of the kernel has met at four terms.
fn terms_of(rows: Rows, quad: u32, first: u32, own: u32) -> mat4x4<f32> {
    let y = rows_of_map(quad, first + own);
    let x = columns_of_map(quad, first + own);
    let is_term = first + own + vec4(0u, 1u, 2u, 3u) < vec4(terms);
    if quad >= kernel * run_quads {
        let ones = select(vec4(0.0), vec4(1.0), is_term);
        return mat4x4(vec4(ones.x), vec4(ones.y), vec4(ones.z), vec4(ones.w));
    }
    return fours_where(rows, (y < vec4(in_height)) & (x < vec4(in_width)) & is_term);
}

/// The gradients of a position for four channels. Beyond the last term: its gradients again, which are multiplied by 0.
fn load_columns(first: u32, i: u32, first_quad: u32) -> Four {
    let term = min(first + i / tile_quads, terms - 1u);
    return output_grad[(first_sample * area + term) * quads + first_quad + i % tile_quads];
}

fn store(run_quad: u32, quad: u32, grads: mat4x4<f32>) {
    let o = quad * 4u;
    if run_quad == kernel * run_quads { put_biases(chunk, o, grads[0]); }
    if run_quad >= kernel * run_quads { return; }
    let row = chunk * kernel * run + run_quad * 4u;
    put_weights(row, o, grads[0]);
    put_weights(row + 1u, o, grads[1]);
    put_weights(row + 2u, o, grads[2]);
    put_weights(row + 3u, o, grads[3]);
}
