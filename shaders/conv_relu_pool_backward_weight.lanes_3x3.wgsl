// Gradients of convolution by kernels of 3x3, ReLU and max-pooling over windows of 2x2 with respect to weights and bias, one
// partial sum for each chunk of samples; a workgroup for four input channels, in which each invocation has four neighbouring
// output channels: for each position of the kernel a tile of 4 by 4 channels, in registers.
//
//   weight_grad_partial[chunk,ky,kx,c,o] = sum over the chunk's windows n, y, x that have a maximum in channel o of
//       output_grad[n,y,x,o] * input[n, y * 2 + dy + ky - before, x * 2 + dx + kx - before, c]
//   bias_grad_partial[chunk,o]           = sum over the same of output_grad[n,y,x,o]
//
// where argmax holds dy * 2 + dx, with zeros outside the input; the chunks are added in order later. All nine positions of the
// kernel are unrolled, so that a float once loaded serves in all of its products. Needs subgroups of 8 lanes or more, and
// numbers of channels that are multiples of 4.
//
// Parts: conv2d, runs, conv_relu_pool, tiles, lane_products, texels, chunks, texels_f32, grad_divisors_f32, input_texels,
// output_grad_texels, run_input, window_grads, inputs_at_maxima.
// CPU twin: ConvReluPoolBackwardWeight in src/ops/conv_relu_pool/gradients.rs.

/// Four channels of a position.
alias Seen = vec4<f32>;

/// For each position of the kernel, the gradients of four output channels for each of four input channels.
var<private> sums: array<mat4x4<f32>, 9>;

fn seen_at(n: u32, y: u32, x: u32, c: u32) -> Seen {
    return input_at(n, y, x, c);
}

/// `sum` and the products of channel `c`. `fma` is one instruction where the processor has it.
fn add(ky: u32, kx: u32, c: u32, sum: vec4<f32>) -> vec4<f32> {
    return fma(grads[1], at_maxima(1u, ky, kx, seen[1][ky][c]), fma(grads[0], at_maxima(0u, ky, kx, seen[0][ky][c]), sum));
}

/// Adds to the sums of a position of the kernel.
fn add_tap(ky: u32, kx: u32) {
    let tap = ky * 3u + kx;
    let s = sums[tap];
    sums[tap] = mat4x4(add(ky, kx, 0u, s[0]), add(ky, kx, 1u, s[1]), add(ky, kx, 2u, s[2]), add(ky, kx, 3u, s[3]));
}

fn store(chunk: u32, tap: u32, c: u32, quad: u32) {
    if quad >= quads { return; }
    let i = ((chunk * 9u + tap) * in_channels + c) * quads + quad;
    weight_grad_partial[i] = sums[tap][0];
    weight_grad_partial[i + quads] = sums[tap][1];
    weight_grad_partial[i + 2u * quads] = sums[tap][2];
    weight_grad_partial[i + 3u * quads] = sums[tap][3];
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_backward_weight(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last channel help to load inputs, and store nothing.
    let chunk = group.z;
    let quad = group.y * workgroup_size + local;
    let c = group.x * 4u;
    add_chunk(chunk, quad, c, lane);
    store(chunk, 0u, c, quad); store(chunk, 1u, c, quad); store(chunk, 2u, c, quad);
    store(chunk, 3u, c, quad); store(chunk, 4u, c, quad); store(chunk, 5u, c, quad);
    store(chunk, 6u, c, quad); store(chunk, 7u, c, quad); store(chunk, 8u, c, quad);
    if c == 0u && quad < quads {
        bias_grad_partial[chunk * quads + quad] = bias_grad;
    }
}
