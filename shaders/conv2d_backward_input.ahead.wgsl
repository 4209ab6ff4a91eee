// Gradient of a convolution with respect to its input, before the rectifier that the input came out of, if any, for GPUs; a
// workgroup for a tile of 32 strips of four positions of a row, by some quads of channels, of which each invocation has two
// strips and eight channels.
//
//   input_grad[n,y,x,c] = grad_before(
//       sum over ky, kx, o of output_grad[n, (y + before - ky) / stride, (x + before - kx) / stride, o] * weight[ky,kx,c,o],
//       input[n,y,x,c])
//
// where that position is whole and lies inside the output. Positions with the same remainders by the stride, a phase, meet the
// same weights: the positions of a strip are a stride apart, and a workgroup has one phase. One kernel position that the phase
// meets after the other is summed, each with all output channels. Needs numbers of channels that are multiples of 4.
//
// Parts: stride, conv2d, runs, tiles, blocks, outer, block_sums, block_products_ahead, fours_ahead, texels_f16 or texels_f32,
// transposed_weights_ahead, rectifier_grad, phases, input_strips, input_grad_fours.
// CPU twin: Conv2dBackwardInput in src/ops/conv2d/gradients.rs.

@group(0) @binding(0) var<storage, read> output_grad: array<Four>;  // [batch, out_height, out_width, out_channels]
@group(0) @binding(1) var<storage, read> weight: array<Four>;       // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> input: array<Four>;        // [batch, in_height, in_width, in_channels]

override tiles_per_phase: u32 = (strips_per_phase + TILE - 1u) / TILE;

/// The kernel position.
var<private> kernel_y: u32;
var<private> kernel_x: u32;

/// The row of the output that a strip meets, and the columns that its positions meet. What is above and to the left of it wraps
/// round to huge numbers.
fn row_of_map(place: Place) -> u32 {
    return (place.y + before) / stride - kernel_y / stride;
}

fn columns_of_map(place: Place) -> vec4<u32> {
    return (place.x + before) / stride - kernel_x / stride + vec4(0u, 1u, 2u, 3u);
}

/// A read beyond a buffer gives some number in WGSL, which here and below is not used.
fn load_rows(strip: u32, first: u32, own: u32) -> Rows {
    let place = place_of(strip, phase);
    let y = place.n * out_height + row_of_map(place);
    let i = (y * out_width + columns_of_map(place)) * quads + (first + own) / 4u;
    return Rows(output_grad[i.x], output_grad[i.y], output_grad[i.z], output_grad[i.w]);
}

fn terms_of(rows: Rows, strip: u32, first: u32, own: u32) -> mat4x4<f32> {
    let place = place_of(strip, phase);
    let is_row = row_of_map(place) < out_height;
    return transpose(fours_where(rows, (columns_of_map(place) < vec4(out_width)) & vec4(is_row)));
}

fn load_columns(first: u32, i: u32, first_in_quad: u32) -> Four {
    return weights_of_tap(kernel_y * kernel + kernel_x, first, i, first_in_quad);
}

fn input_quad_at(first: u32) -> vec4<f32> {
    return unpacked(input[first / 4u]);
}

@compute @workgroup_size(workgroup_size)
fn conv2d_backward_input(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // No invocation may leave early: those beyond the last strip or channel help to load, and store nothing.
    let tile = tile_index(group, groups);
    let first_strip = tile % tiles_per_phase * TILE;
    let first_quad = group.z * tile_quads;
    // Compilers see that a local constant is the same for the whole workgroup, as barriers need, but not that a variable is.
    let own_phase = tile / tiles_per_phase;
    phase = own_phase;
    for (var ky = (own_phase / stride + before) % stride; ky < kernel; ky += stride) {
        for (var kx = (own_phase % stride + before) % stride; kx < kernel; kx += stride) {
            kernel_y = ky;
            kernel_x = kx;
            add_terms(out_channels, first_strip, first_quad, local);
        }
    }
    store_sums(first_strip, first_quad, local);
}
