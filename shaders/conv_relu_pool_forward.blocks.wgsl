// Convolution with stride 1 and bias, ReLU and max-pooling over windows of 2x2, for GPUs and for software without subgroups; a
// workgroup for a tile of 32 windows by some quads of channels, of which each invocation has two windows and eight channels: 4
// tiles of 4 channels by the 4 positions of a window, in registers.
//
//   map[n,y,x,o]      = bias[o] + sum over ky, kx, c of input[n, y + ky - before, x + kx - before, c] * weight[ky,kx,c,o]
//   output[n,y,x,o]   = max(0, max over dy, dx of map[n, y * 2 + dy, x * 2 + dx, o])
//   argmax[n,y,x,o/4] = for each of four channels a byte: dy * 2 + dx of the first of the largest, 255 where it is not above 0
//
// with zeros outside the input. The sum's terms ky, kx, c are numbered as they lie in `weight`; each is an outer product of four
// weights and a window's four inputs. Needs a number of output channels that is a multiple of 4.
//
// Parts: conv2d, runs, conv_relu_pool, tiles, blocks, outer, block_sums, block_products, floats_f16 or floats_f32, texels_f16 or
// texels_f32, maxima, maxima_fours.
// CPU twin: ConvReluPoolForward in src/ops/conv_relu_pool.rs.

override terms: u32 = kernel * run;
override row: u32 = in_width * in_channels;  // the floats of a row of the input

@group(0) @binding(0) var<storage, read> input: array<Word>;       // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> weight: array<Four>;      // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;  // [out_channels]

/// What a term multiplies at the four positions of a window; 0 outside the map and beyond the last term. What is above and to
/// the left of the map wraps round to huge numbers. A read beyond a buffer gives some number in WGSL, which here and below is
/// not used.
fn rows_at(window: u32, term: u32) -> vec4<f32> {
    let n = window / pooled_area;
    let y = window / pooled_width % pooled_height * 2u + term / run - before;
    let column = (window % pooled_width * 2u - before) * in_channels + term % run;
    let rows = vec4(y, y, y + 1u, y + 1u);
    let columns = vec4(column, column + in_channels, column, column + in_channels);
    let inside = (rows < vec4(in_height)) & (columns < vec4(row)) & vec4(term < terms);
    let i = (vec4(n * in_height) + rows) * row + columns;
    let words = i / FLOATS_PER_WORD;
    let floats = vec4(
        float_of(input[words.x], i.x), float_of(input[words.y], i.y),
        float_of(input[words.z], i.z), float_of(input[words.w], i.w),
    );
    return select(vec4(0.0), floats, inside);
}

/// The weights of a term for four channels. Beyond the last term: its weights again, which are multiplied by 0.
fn columns_at(term: u32, quad: u32) -> vec4<f32> {
    return unpacked(weight[min(term, terms - 1u) * quads + quad]);
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
    add_terms(terms, first_window, first_quad, local);
    store_sums(first_window, first_quad, local);
}
