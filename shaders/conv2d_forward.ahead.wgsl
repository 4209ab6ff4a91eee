// Convolution with bias, and a rectifier, for GPUs; a workgroup for a tile of 32 strips of four neighbouring positions of a row,
// by some quads of channels, of which each invocation has two strips and eight channels.
//
//   output[n,y,x,o] = rectified(bias[o] +
//       sum over ky, kx, c of input[n, y * stride + ky - before, x * stride + kx - before, c] * weight[ky,kx,c,o])
//
// with zeros outside the input. The sum's terms ky, kx, c are numbered as they lie in `weight`. Needs numbers of channels that
// are multiples of 4.
//
// Parts: stride, conv2d, runs, tiles, blocks, outer, block_sums, block_products_ahead, fours_ahead, texels_f16 or texels_f32,
// columns_ahead, weights_ahead, rectifier, output_strips, output_fours.
// CPU twin: Conv2dForward in src/ops/conv2d.rs.

@group(0) @binding(0) var<storage, read> input: array<Four>;      // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> weight: array<Four>;     // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;  // [out_channels]


/// The row of the input that a strip meets at a term, and the columns that its positions meet. What is above and to the left of
/// the map wraps round to huge numbers.
fn row_of_map(strip: u32, term: u32) -> u32 {
    return strip / strips_per_row % out_height * stride + term / run - before;
}

fn columns_of_map(strip: u32, term: u32) -> vec4<u32> {
    let x = strip % strips_per_row * 4u * stride + term % run / in_channels - before;
    return x + vec4(0u, 1u, 2u, 3u) * stride;
}

/// A read beyond a buffer gives some number in WGSL, which here and below is not used.
fn load_rows(strip: u32, first: u32, own: u32) -> Rows {
    let y = strip / (strips_per_row * out_height) * in_height + row_of_map(strip, first);
    let i = (y * in_width + columns_of_map(strip, first)) * in_quads + (first % in_channels + own) / 4u;
    return Rows(input[i.x], input[i.y], input[i.z], input[i.w]);
}

fn terms_of(rows: Rows, strip: u32, first: u32, own: u32) -> mat4x4<f32> {
    let is_row = row_of_map(strip, first) < in_height;
    return transpose(fours_where(rows, (columns_of_map(strip, first) < vec4(in_width)) & vec4(is_row)));
}

@compute @workgroup_size(workgroup_size)
fn conv2d_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // No invocation may leave early: those beyond the last strip or channel help to load, and store nothing.
    let first_strip = tile_index(group, groups) * TILE;
    let first_quad = group.z * tile_quads;
    let quad = first_quad + own_quad(local);
    begin_sums(bias[quad], bias[quad + 1u]);
    add_terms(kernel * run, first_strip, first_quad, local);
    store_sums(first_strip, first_quad, local);
}
