// Gradient of convolution, ReLU and max-pooling over windows of 2x2 with respect to the input, for GPUs and for software
// without subgroups; a workgroup for a tile of a square of 2x2 positions in 32 samples by some quads of input channels, of
// which each invocation has two samples and eight channels: 4 tiles of 4 channels by the 4 positions of the square, in
// registers.
//
//   input_grad[n,y,x,c] = sum over ky, kx, o of map_grad[n, y + before - ky, x + before - kx, o] * weight[ky,kx,c,o]
//
// where map_grad is output_grad at the places of the windows' maxima, as argmax holds them, and 0 elsewhere. Some quads of
// output channels at a kernel position at a time, the workgroup loads the gradients and the weights of its tile into its
// memory; then each output channel is an outer product of four weights and a square's four gradients. Kernel positions that no
// window of the square can reach are left out. Needs numbers of channels that are multiples of 4.
//
// Parts: conv2d, runs, conv_relu_pool, tiles, blocks, outer, block_sums, texels_f16 or texels_f32, input_squares, own_square,
// input_grad_fours.
// CPU twin: ConvReluPoolBackwardInput in src/ops/conv_relu_pool/gradients.rs.

@group(0) @binding(0) var<storage, read> output_grad: array<Four>;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(1) var<storage, read> argmax: array<u32>;        // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(2) var<storage, read> weight: array<Four>;       // [kernel, kernel, in_channels, out_channels]

override block_terms: u32 = 4u * slice;

/// The gradients of four channels of the map, 0 outside it and beyond the last channel; positions above and to the left of
/// it wrap round to huge numbers. A read beyond a buffer gives some number in WGSL, which here and below is not used.
fn map_grad_at(n: u32, y: u32, x: u32, quad: u32) -> vec4<f32> {
    let inside = y < pooled_height * 2u && x < pooled_width * 2u && quad < quads;
    let i = ((n * pooled_height + y / 2u) * pooled_width + x / 2u) * quads + quad;
    return select(vec4(0.0), unpacked(output_grad[i]), (unpack4xU8(argmax[i]) == vec4(y % 2u * 2u + x % 2u)) & vec4(inside));
}

/// The gradients of four output channels, a column for each, at the four positions of a square.
fn grads_at(n: u32, y: u32, x: u32, quad: u32) -> mat4x4<f32> {
    return transpose(mat4x4(
        map_grad_at(n, y, x, quad),
        map_grad_at(n, y, x + 1u, quad),
        map_grad_at(n, y + 1u, x, quad),
        map_grad_at(n, y + 1u, x + 1u, quad),
    ));
}

/// The weights of four output channels, a column for each, for four input channels. Beyond the last quad of output channels:
/// the weights of the last one. They are multiplied by 0.
fn weights_at(tap: u32, in_quad: u32, quad: u32) -> mat4x4<f32> {
    let i = (tap * in_channels + in_quad * 4u) * quads + min(quad, quads - 1u);
    return transpose(mat4x4(
        unpacked(weight[i]), unpacked(weight[i + quads]),
        unpacked(weight[i + 2u * quads]), unpacked(weight[i + 3u * quads]),
    ));
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_backward_input(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // No invocation may leave early: those beyond the last sample or channel help to load, and store nothing.
    let tile = tile_index(group, groups);
    let first_sample = tile / squares * TILE;
    let first_in_quad = group.z * tile_quads;
    square_y = tile % squares / squares_per_row * 2u;
    square_x = tile % squares_per_row * 2u;

    // Compilers see that a local constant is the same for the whole workgroup, as barriers need, but not that a variable is.
    let map_y = tile % squares / squares_per_row * 2u + before;
    let map_x = tile % squares_per_row * 2u + before;
    for (var ky = first_tap(map_y, pooled_height); ky < end_of_taps(map_y); ky++) {
        for (var kx = first_tap(map_x, pooled_width); kx < end_of_taps(map_x); kx++) {
            for (var first = 0u; first < quads; first += slice) {
                for (var i = local; i < slice * TILE; i += workgroup_size) {
                    let four = grads_at(first_sample + i / slice, map_y - ky, map_x - kx, first + i % slice);
                    let place = i % slice * 4u * PITCH + i / slice;
                    row_block[place] = four[0];
                    row_block[place + PITCH] = four[1];
                    row_block[place + 2u * PITCH] = four[2];
                    row_block[place + 3u * PITCH] = four[3];
                }
                // A slice has at most as many quads of weights as the workgroup invocations.
                if local < slice * tile_quads {
                    let in_quad = local % tile_quads;
                    let four = weights_at(ky * kernel + kx, first_in_quad + in_quad, first + local / tile_quads);
                    let place = local / tile_quads * 4u * tile_quads + in_quad;
                    column_block[place] = four[0];
                    column_block[place + tile_quads] = four[1];
                    column_block[place + 2u * tile_quads] = four[2];
                    column_block[place + 3u * tile_quads] = four[3];
                }
                workgroupBarrier();
                add_block(local);
                workgroupBarrier();
            }
        }
    }
    store_sums(first_sample, first_in_quad, local);
}
