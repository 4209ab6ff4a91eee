// Gradient of a convolution with respect to its input, before the rectifier that the input came out of, if any, for GPUs and for
// software without subgroups; a workgroup for a tile of 32 strips of four positions of a row, by some quads of channels, of which
// each invocation has two strips and four channels.
//
//   input_grad[n,y,x,c] = grad_before(
//       sum over ky, kx, o of output_grad[n, (y + before - ky) / stride, (x + before - kx) / stride, o] * weight[ky,kx,c,o],
//       input[n,y,x,c])
//
// where that position is whole and lies inside the output. Positions with the same remainders by the stride, a phase, meet the
// same weights: the positions of a strip are a stride apart, and a workgroup has one phase. The sum's terms are its ky, kx and
// all o.
//
// Parts: stride, conv2d, runs, tiles, blocks, outer, block_sums, block_products, floats_f16 or floats_f32, texels_f16 or
// texels_f32, rectifier_grad, phases, input_strips, input_grad_floats or input_grad_fours.
// CPU twin: Conv2dBackwardInput in src/ops/conv2d/gradients.rs.

@group(0) @binding(0) var<storage, read> output_grad: array<Word>;  // [batch, out_height, out_width, out_channels]
@group(0) @binding(1) var<storage, read> weight: array<Word>;       // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> input: array<Word>;        // [batch, in_height, in_width, in_channels]

/// Rows and columns of the kernel that a phase meets, at most.
override most_taps: u32 = (kernel + stride - 1u) / stride;
override tiles_per_phase: u32 = (strips_per_phase + TILE - 1u) / TILE;

/// The kernel's first column that the phase meets.
var<private> first_kx: u32;

fn row_of_kernel(term: u32) -> u32 {
    return (phase / stride + before) % stride + term / (most_taps * out_channels) * stride;
}

fn column_of_kernel(term: u32) -> u32 {
    return first_kx + term / out_channels % most_taps * stride;
}

/// Not all phases meet as many rows and columns as there are terms for.
fn is_in_kernel(ky: u32, kx: u32) -> bool {
    return ky < kernel && kx < kernel;
}

/// What a term multiplies at one position; 0 outside the output. What is above and to the left of it wraps round to huge
/// numbers. A read beyond a buffer gives some number in WGSL, which here and below is not used.
fn grad_float_at(n: u32, y: u32, x: u32, o: u32) -> f32 {
    let i = ((n * out_height + y) * out_width + x) * out_channels + o;
    return select(0.0, float_of(output_grad[i / FLOATS_PER_WORD], i), y < out_height && x < out_width);
}

fn rows_at(strip: u32, term: u32) -> vec4<f32> {
    let ky = row_of_kernel(term);
    let kx = column_of_kernel(term);
    if !is_in_kernel(ky, kx) { return vec4(0.0); }
    let place = place_of(strip, phase);
    let y = (place.y + before) / stride - ky / stride;
    let x = (place.x + before) / stride - kx / stride;
    let o = term % out_channels;
    return vec4(
        grad_float_at(place.n, y, x, o), grad_float_at(place.n, y, x + 1u, o),
        grad_float_at(place.n, y, x + 2u, o), grad_float_at(place.n, y, x + 3u, o),
    );
}

fn weight_float_at(tap: u32, c: u32, o: u32) -> f32 {
    let i = (tap * in_channels + c) * out_channels + o;
    return float_of(weight[i / FLOATS_PER_WORD], i);
}

/// The weights of a term. Those beyond the last channel are not used.
fn columns_at(term: u32, quad: u32) -> vec4<f32> {
    let ky = row_of_kernel(term);
    let kx = column_of_kernel(term);
    if !is_in_kernel(ky, kx) { return vec4(0.0); }
    let tap = ky * kernel + kx;
    let c = quad * 4u;
    let o = term % out_channels;
    return vec4(
        weight_float_at(tap, c, o), weight_float_at(tap, c + 1u, o),
        weight_float_at(tap, c + 2u, o), weight_float_at(tap, c + 3u, o),
    );
}

fn input_quad_at(first: u32) -> vec4<f32> {
    let i = first + vec4(0u, 1u, 2u, 3u);
    let words = i / FLOATS_PER_WORD;
    return vec4(
        float_of(input[words.x], i.x), float_of(input[words.y], i.y),
        float_of(input[words.z], i.z), float_of(input[words.w], i.w),
    );
}

@compute @workgroup_size(workgroup_size)
fn conv2d_backward_input(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // No invocation may leave early: those beyond the last strip or channel help to load, and store nothing.
    let tile = tile_index(group, groups);
    phase = tile / tiles_per_phase;
    first_kx = (phase % stride + before) % stride;
    let first_strip = tile % tiles_per_phase * TILE;
    let first_quad = group.z * tile_quads;
    add_terms(most_taps * most_taps * out_channels, first_strip, first_quad, local);
    store_sums(first_strip, first_quad, local);
}
