// Convolution with stride 1 and bias, ReLU and max-pooling over windows of 2x2, for GPUs; a workgroup for a tile of 32 windows by
// some quads of channels, of which each invocation has two windows and eight channels: 4 tiles of 4 channels by the 4 positions
// of a window, in registers.
//
//   map[n,y,x,o]      = bias[o] + sum over ky, kx, c of input[n, y + ky - before, x + kx - before, c] * weight[ky,kx,c,o]
//   output[n,y,x,o]   = max(0, max over dy, dx of map[n, y * 2 + dy, x * 2 + dx, o])
//   argmax[n,y,x,o/4] = for each of four channels a byte: dy * 2 + dx of the first of the largest, 255 where it is not above 0
//
// with zeros outside the input. The sum's terms ky, kx, c are numbered as they lie in `weight`; each is an outer product of four
// weights and a window's four inputs. Needs numbers of channels that are multiples of 4.
//
// Parts: conv2d, runs, conv_relu_pool, tiles, blocks, outer, block_sums, block_products_ahead, fours_ahead, texels_f16 or
// texels_f32, columns_ahead, weights_ahead, maxima, maxima_fours.
// CPU twin: ConvReluPoolForward in src/ops/conv_relu_pool.rs.

@group(0) @binding(0) var<storage, read> input: array<Four>;      // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> weight: array<Four>;     // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;  // [out_channels]

/// The rows of the input that a window's positions meet at a term. What is above and to the left of the map wraps round to huge
/// numbers, here and below.
fn rows_of_map(window: u32, term: u32) -> vec4<u32> {
    let y = window / pooled_width % pooled_height * 2u + term / run - before;
    return vec4(y, y, y + 1u, y + 1u);
}

/// The columns that they meet.
fn columns_of_map(window: u32, term: u32) -> vec4<u32> {
    let x = window % pooled_width * 2u + term % run / in_channels - before;
    return vec4(x, x + 1u, x, x + 1u);
}

/// A read beyond a buffer gives some number in WGSL, which here and below is not used.
fn load_rows(window: u32, first: u32, own: u32) -> Rows {
    let rows = vec4(window / pooled_area * in_height) + rows_of_map(window, first);
    let i = (rows * in_width + columns_of_map(window, first)) * in_quads + (first % in_channels + own) / 4u;
    return Rows(input[i.x], input[i.y], input[i.z], input[i.w]);
}

fn terms_of(rows: Rows, window: u32, first: u32, own: u32) -> mat4x4<f32> {
    let inside = (rows_of_map(window, first) < vec4(in_height)) & (columns_of_map(window, first) < vec4(in_width));
    return transpose(fours_where(rows, inside));
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // No invocation may leave early: those beyond the last window or channel help to load, and store nothing.
    let first_window = tile_index(group, groups) * TILE;
    let first_quad = group.z * tile_quads;
    let quad = first_quad + own_quad(local);
    begin_sums(bias[quad], bias[quad + 1u]);
    add_terms(kernel * run, first_window, first_quad, local);
    store_sums(first_window, first_quad, local);
}
