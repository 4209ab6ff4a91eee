// Gradient of convolution, ReLU and max-pooling over windows of 2x2 with respect to the input; a workgroup for a square of 2x2
// positions in 8 samples, in which each invocation has four neighbouring input channels: 8 tiles of 4 channels by the 4
// positions of the square, in registers.
//
//   input_grad[n,y,x,c] = sum over ky, kx, o of map_grad[n, y + before - ky, x + before - kx, o] * weight[ky,kx,c,o]
//
// where map_grad is output_grad at the places of the windows' maxima, as argmax holds them, and 0 elsewhere. Four output
// channels at a time, a tile takes one product of 4x4 matrices. All invocations need the same gradients at a time: each of
// the first 8 lanes loads those of one sample for the others. Kernel positions that no window of the square can reach are left
// out. Needs subgroups of 8 lanes or more.
// Parts: conv2d, runs, conv_relu_pool, tiles, lane_products, texels, texels_f16 or texels_f32, weight_texels, output_grad_texels,
// run_weight, window_grads, input_squares, input_grad_floats or input_grad_fours.
// CPU twin: ConvReluPoolBackwardInput in src/ops/conv_relu_pool/gradients.rs.

@group(0) @binding(0) var output_grad: Texels;                        // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(1) var argmax: texture_storage_2d<r32uint, read>;  // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(2) var weight: Texels;                             // [kernel, kernel, in_channels, out_channels]

/// The gradients of four channels of the map; positions above and to the left of it wrap round to huge numbers.
fn map_grad_at(n: u32, y: u32, x: u32, quad: u32) -> vec4<f32> {
    let inside = y < pooled_height * 2u && x < pooled_width * 2u;
    let window = (n * pooled_height + y / 2u) * pooled_width + x / 2u;
    let is_here = codes_at(window, quad) == vec4(y % 2u * 2u + x % 2u);
    return select(vec4(0.0), grad_at(window, quad), is_here & vec4(inside));
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_backward_input(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last channel help to load gradients, and store nothing.
    let in_quad = group.z * workgroup_size + local;
    let tile = tile_index(group, groups);
    let first = tile / squares * 8u;
    let n = first + lane % 8u;
    let y = tile % squares / squares_per_row * 2u;
    let x = tile % squares_per_row * 2u;

    let map_y = y + before;
    let map_x = x + before;
    for (var ky = first_tap(map_y, pooled_height); ky < end_of_taps(map_y); ky++) {
        for (var kx = first_tap(map_x, pooled_width); kx < end_of_taps(map_x); kx++) {
            let row = (ky * kernel + kx) * in_channels + in_quad * 4u;
            for (var quad = 0u; quad < quads; quad++) {
                let grads = mat4x4(
                    map_grad_at(n, map_y - ky, map_x - kx, quad), map_grad_at(n, map_y - ky, map_x + 1u - kx, quad),
                    map_grad_at(n, map_y + 1u - ky, map_x - kx, quad), map_grad_at(n, map_y + 1u - ky, map_x + 1u - kx, quad),
                );
                add_products(transpose(weights_at(row, quad)), grads);
            }
        }
    }
    store_square(first, y, x, in_quad, tiles[0]); store_square(first + 1u, y, x, in_quad, tiles[1]);
    store_square(first + 2u, y, x, in_quad, tiles[2]); store_square(first + 3u, y, x, in_quad, tiles[3]);
    store_square(first + 4u, y, x, in_quad, tiles[4]); store_square(first + 5u, y, x, in_quad, tiles[5]);
    store_square(first + 6u, y, x, in_quad, tiles[6]); store_square(first + 7u, y, x, in_quad, tiles[7]);
}
