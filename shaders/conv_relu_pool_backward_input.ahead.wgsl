// Gradient of convolution, ReLU and max-pooling over windows of 2x2 with respect to the input, for GPUs; a workgroup for a tile
// of a square of 2x2 positions in 32 samples by some quads of input channels, of which each invocation has two samples and eight
// channels: 4 tiles of 4 channels by the 4 positions of the square, in registers.
//
//   input_grad[n,y,x,c] = sum over ky, kx, o of map_grad[n, y + before - ky, x + before - kx, o] * weight[ky,kx,c,o]
//
// where map_grad is output_grad at the places of the windows' maxima, as argmax holds them, and 0 elsewhere. One kernel position
// after the other is summed, but for those that no window of the square can reach: each output channel is an outer product of
// four weights and a square's four gradients. Needs numbers of channels that are multiples of 4.
//
// Parts: conv2d, runs, conv_relu_pool, tiles, blocks, outer, block_sums, block_products_ahead, texels_f16 or texels_f32,
// transposed_weights_ahead, input_squares, own_square, input_grad_fours.
// CPU twin: ConvReluPoolBackwardInput in src/ops/conv_relu_pool/gradients.rs.

@group(0) @binding(0) var<storage, read> output_grad: array<Four>;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(1) var<storage, read> argmax: array<u32>;        // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(2) var<storage, read> weight: array<Four>;       // [kernel, kernel, in_channels, out_channels]

/// The kernel position, and where in the map it is met by the square's first position.
var<private> tap: u32;
var<private> map_y: u32;
var<private> map_x: u32;

/// The gradients of four output channels, and the codes of their maxima, for the four positions of a square.
struct Rows {
    f0: Four,
    f1: Four,
    f2: Four,
    f3: Four,
    codes: vec4<u32>,
}

/// No code of a maximum.
const NONE = 4u;

/// The rows and the columns of the map at the four positions. Those above it, or to the left of it, wrap round to huge numbers.
fn rows_of_map() -> vec4<u32> {
    return vec4(map_y, map_y, map_y + 1u, map_y + 1u);
}

fn columns_of_map() -> vec4<u32> {
    return vec4(map_x, map_x + 1u, map_x, map_x + 1u);
}

/// A read beyond a buffer gives some number in WGSL, which here and below is not used.
fn load_rows(n: u32, first: u32, own: u32) -> Rows {
    let windows = (vec4(n * pooled_height) + rows_of_map() / 2u) * pooled_width + columns_of_map() / 2u;
    let i = windows * quads + (first + own) / 4u;
    let codes = vec4(argmax[i.x], argmax[i.y], argmax[i.z], argmax[i.w]);
    return Rows(output_grad[i.x], output_grad[i.y], output_grad[i.z], output_grad[i.w], codes);
}

/// The gradients of four channels at a position; 0 where the maximum stands elsewhere.
fn grads_of(four: Four, codes: u32, own: u32) -> vec4<f32> {
    return select(vec4(0.0), unpacked(four), unpack4xU8(codes) == vec4(own));
}

fn terms_of(rows: Rows, n: u32, first: u32, own: u32) -> mat4x4<f32> {
    let y = rows_of_map();
    let x = columns_of_map();
    let inside = (y < vec4(pooled_height * 2u)) & (x < vec4(pooled_width * 2u));
    let codes = select(vec4(NONE), y % 2u * 2u + x % 2u, inside);
    return transpose(mat4x4(
        grads_of(rows.f0, rows.codes.x, codes.x), grads_of(rows.f1, rows.codes.y, codes.y),
        grads_of(rows.f2, rows.codes.z, codes.z), grads_of(rows.f3, rows.codes.w, codes.w),
    ));
}

fn load_columns(first: u32, i: u32, first_in_quad: u32) -> Four {
    return weights_of_tap(tap, first, i, first_in_quad);
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
    let y = tile % squares / squares_per_row * 2u + before;
    let x = tile % squares_per_row * 2u + before;
    for (var ky = first_tap(y, pooled_height); ky < end_of_taps(y); ky++) {
        for (var kx = first_tap(x, pooled_width); kx < end_of_taps(x); kx++) {
            tap = ky * kernel + kx;
            map_y = y - ky;
            map_x = x - kx;
            add_terms(out_channels, first_sample, first_in_quad, local);
        }
    }
    store_sums(first_sample, first_in_quad, local);
}
