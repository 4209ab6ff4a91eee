// Convolution with bias, and a rectifier, for GPUs and for software without subgroups; a workgroup for a tile of 32 strips of
// four neighbouring positions of a row, by some quads of channels, of which each invocation has two strips and eight channels.
//
//   output[n,y,x,o] = rectified(bias[o] +
//       sum over ky, kx, c of input[n, y * stride + ky - before, x * stride + kx - before, c] * weight[ky,kx,c,o])
//
// with zeros outside the input. The sum's terms ky, kx, c are numbered as they lie in `weight`.
//
// Parts: stride, conv2d, runs, tiles, blocks, outer, block_sums, block_products, floats_f16 or floats_f32, weight_floats,
// texels_f16 or texels_f32, rectifier, output_strips, output_floats or output_fours.
// CPU twin: Conv2dForward in src/ops/conv2d.rs.

@group(0) @binding(0) var<storage, read> input: array<Word>;   // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> weight: array<Word>;  // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<f32>;     // [out_channels]

override terms: u32 = kernel * run;

/// What a term multiplies at one position; 0 outside the map. What is above and to the left of it wraps round to huge numbers. A
/// read beyond a buffer gives some number in WGSL, which here and below is not used.
fn input_float_at(n: u32, y: u32, x: u32, c: u32) -> f32 {
    let i = ((n * in_height + y) * in_width + x) * in_channels + c;
    return select(0.0, float_of(input[i / FLOATS_PER_WORD], i), y < in_height && x < in_width);
}

/// Whether there is such a term: a slice may end beyond the last one.
fn is_term(term: u32) -> bool {
    return term < terms;
}

fn rows_at(strip: u32, term: u32) -> vec4<f32> {
    if !is_term(term) { return vec4(0.0); }
    let n = strip / (strips_per_row * out_height);
    let y = strip / strips_per_row % out_height * stride + term / run - before;
    let x = strip % strips_per_row * 4u * stride + term % run / in_channels - before;
    let c = term % in_channels;
    return vec4(
        input_float_at(n, y, x, c), input_float_at(n, y, x + stride, c),
        input_float_at(n, y, x + 2u * stride, c), input_float_at(n, y, x + 3u * stride, c),
    );
}

/// The weights of a term. Those beyond the last channel are not used.
fn columns_at(term: u32, quad: u32) -> vec4<f32> {
    if !is_term(term) { return vec4(0.0); }
    let i = term * out_channels + quad * 4u;
    return weight_floats_at(i);
}

/// The biases of four channels. Those beyond the last channel are not used.
fn biases_at(quad: u32) -> vec4<f32> {
    let o = quad * 4u;
    return vec4(bias[o], bias[o + 1u], bias[o + 2u], bias[o + 3u]);
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
    begin_sums(biases_at(quad), biases_at(quad + 1u));
    add_terms(terms, first_strip, first_quad, local);
    store_sums(first_strip, first_quad, local);
}
