// Gradients of convolution of one channel by kernels of 3x3, ReLU and max-pooling over windows of 2x2 with respect to weights and
// bias, one partial sum for each chunk of samples; each invocation has four neighbouring output channels, whose sums stay in
// registers.
//
//   weight_grad_partial[chunk,ky,kx,o] = sum over the chunk's windows n, y, x that have a maximum in channel o of
//       output_grad[n,y,x,o] * input[n, y * 2 + dy + ky - before, x * 2 + dx + kx - before]
//   bias_grad_partial[chunk,o]         = sum over the same of output_grad[n,y,x,o]
//
// where argmax holds dy * 2 + dx, with zeros outside the input; the chunks are added in order later. Needs subgroups of 8 lanes
// or more, one input channel, and a number of output channels that is a multiple of 4.
//
// Parts: conv2d, runs, conv_relu_pool, tiles, lane_products, texels, chunks, texels_f32, grad_divisors_f32, input_texels,
// output_grad_texels, run_input, window_grads, inputs_at_maxima.
// CPU twin: ConvReluPoolBackwardWeight in src/ops/conv_relu_pool/gradients.rs.

alias Seen = f32;

/// The gradients of four output channels, position by position of the kernel.
var<private> sums: array<vec4<f32>, 9>;

/// A position; 0 outside the map. What is above and to the left of it wraps round to huge numbers. There is only channel 0.
fn seen_at(n: u32, y: u32, x: u32, c: u32) -> Seen {
    let i = (n * in_height + y) * in_width + x;
    let four = input_texel_at(i / 4u);
    let two = select(four.xy, four.zw, (i & 2u) != 0u);
    return select(0.0, select(two.x, two.y, (i & 1u) != 0u), y < in_height && x < in_width);
}

/// Adds to the sums of a position of the kernel. `fma` is one instruction where the processor has it.
fn add_tap(ky: u32, kx: u32) {
    let tap = ky * 3u + kx;
    sums[tap] = fma(grads[1], at_maxima(1u, ky, kx, seen[1][ky]), fma(grads[0], at_maxima(0u, ky, kx, seen[0][ky]), sums[tap]));
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
    add_chunk(chunk, quad, 0u, lane);
    if quad >= quads { return; }
    let i = chunk * 9u * quads + quad;
    weight_grad_partial[i] = sums[0];
    weight_grad_partial[i + quads] = sums[1];
    weight_grad_partial[i + 2u * quads] = sums[2];
    weight_grad_partial[i + 3u * quads] = sums[3];
    weight_grad_partial[i + 4u * quads] = sums[4];
    weight_grad_partial[i + 5u * quads] = sums[5];
    weight_grad_partial[i + 6u * quads] = sums[6];
    weight_grad_partial[i + 7u * quads] = sums[7];
    weight_grad_partial[i + 8u * quads] = sums[8];
    bias_grad_partial[chunk * quads + quad] = bias_grad;
}
