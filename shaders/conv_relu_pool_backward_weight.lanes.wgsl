// Gradients of convolution, ReLU and max-pooling over windows of 2x2 with respect to weights and bias, one partial sum for
// each chunk of samples; a workgroup for 8 or 4 quads of the kernel's runs, in which each invocation has four neighbouring
// output channels: as many tiles of 4 channels by 4 floats of a run, in registers.
//
//   weight_grad_partial[chunk,ky,kx,c,o] = sum over the chunk's windows n, y, x that have a maximum in channel o of
//       output_grad[n,y,x,o] * input[n, y * 2 + dy + ky - before, x * 2 + dx + kx - before, c]
//   bias_grad_partial[chunk,o]           = sum over the same of output_grad[n,y,x,o]
//
// where argmax holds dy * 2 + dx, with zeros outside the input; the chunks are added in order later. A row of the kernel, all
// channels of each of its positions, is one run of floats, and four of them a quad. The four positions of a window are summed
// over by a product of 4x4 matrices: gradients of channels by positions, inputs of positions by a quad. All invocations need
// the same inputs at a time: each of the first 8 lanes loads those of one quad for the others. Needs subgroups of 8 lanes or
// more.
// Parts: conv2d, runs, conv_relu_pool, tiles, lane_products, texels, chunks, texels_f16 or texels_f32, grad_divisors_f16 or
// grad_divisors_f32, input_texels, output_grad_texels, run_input, window_grads, put_parameter_grads.
// CPU twin: ConvReluPoolBackwardWeight in src/ops/conv_relu_pool/gradients.rs.

@group(0) @binding(0) var input: Texels;  // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var output_grad: Texels;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(2) var argmax: texture_storage_2d<r32uint, read>;  // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(3) var<storage, read_write> weight_grad_partial: array<f32>;  // [chunks, ky, kx, c, o]
@group(0) @binding(4) var<storage, read_write> bias_grad_partial: array<f32>;  // [chunks, out_channels]

override tile: u32;  // quads of the kernel's runs of a workgroup, 4 or 8
override run_quads: u32 = (run + 3u) / 4u;

fn store(chunk: u32, run_quad: u32, quad: u32, sums: mat4x4<f32>) {
    if run_quad >= kernel * run_quads || quad >= quads { return; }
    let k = run_quad % run_quads * 4u;
    let row = (chunk * kernel + run_quad / run_quads) * run + k;
    put_weights(row, quad * 4u, sums[0]);
    if has_in_quads || k + 1u < run { put_weights(row + 1u, quad * 4u, sums[1]); }
    if has_in_quads || k + 2u < run { put_weights(row + 2u, quad * 4u, sums[2]); }
    if has_in_quads || k + 3u < run { put_weights(row + 3u, quad * 4u, sums[3]); }
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
    let first = group.x * tile;
    let ky = (first + lane % tile) / run_quads;
    let k = (first + lane % tile) % run_quads * 4u;

    var bias_grad = vec4(0.0);
    let end = end_of_chunk(chunk);
    for (var n = chunk * samples_per_chunk; n < end; n++) {
        for (var window_y = 0u; window_y < pooled_height; window_y++) {
            for (var window_x = 0u; window_x < pooled_width; window_x++) {
                let grads = grads_at((n * pooled_height + window_y) * pooled_width + window_x, quad);
                let y = window_y * 2u + ky - before;
                let x = window_x * 2u - before;
                let seen = mat4x4(
                    input_at(n, y, x, k), input_at(n, y, x + 1u, k), input_at(n, y + 1u, x, k), input_at(n, y + 1u, x + 1u, k),
                );
                bias_grad += grads * vec4(1.0);
                add_four_products(0u, grads, transpose(seen));
                if tile > 4u { add_four_products(4u, grads, transpose(seen)); }
            }
        }
    }
    store(chunk, first, quad, tiles[0]);
    store(chunk, first + 1u, quad, tiles[1]);
    store(chunk, first + 2u, quad, tiles[2]);
    store(chunk, first + 3u, quad, tiles[3]);
    if tile > 4u {
        store(chunk, first + 4u, quad, tiles[4]);
        store(chunk, first + 5u, quad, tiles[5]);
        store(chunk, first + 6u, quad, tiles[6]);
        store(chunk, first + 7u, quad, tiles[7]);
    }
    if first == 0u && quad < quads {
        put_biases(chunk, quad * 4u, bias_grad);
    }
}
