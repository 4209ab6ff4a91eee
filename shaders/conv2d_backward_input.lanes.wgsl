// Gradient of a convolution with respect to its input, before the rectifier that the input came out of, if any; an invocation for
// a strip of four positions of a row, of which it has up to 16 input channels: up to 4 tiles of 4 channels by 4 positions, in
// registers.
//
//   input_grad[n,y,x,c] = grad_before(
//       sum over ky, kx, o of output_grad[n, (y + before - ky) / stride, (x + before - kx) / stride, o] * weight[ky,kx,c,o],
//       input[n,y,x,c])
//
// where that position is whole and lies inside the output. Positions with the same remainders by the stride, a phase, meet the
// same weights: the positions of a strip are a stride apart, and a workgroup has one phase. Four output channels at a time, a row
// of the kernel slides over the strip, so that each gradient is loaded once for all its columns. All invocations need the same
// weights at a time: each of the first 8 lanes loads some of them for the others. Needs subgroups of 8 lanes or more.
//
// Parts: stride, conv2d, runs, tiles, texels, texels_f16 or texels_f32, strip_products, output_grad_texels, weight_texels,
// input_texels, run_weight, rectifier_grad, phases, input_grad_floats or input_grad_fours.
// CPU twin: Conv2dBackwardInput in src/ops/conv2d/gradients.rs.

@group(0) @binding(0) var output_grad: Texels;  // [batch, out_height, out_width, out_channels]
@group(0) @binding(1) var weight: Texels;       // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var input: Texels;        // [batch, in_height, in_width, in_channels]

const SUMS = 16u;

override groups_per_phase: u32 = (strips_per_phase + workgroup_size - 1u) / workgroup_size;

/// Weights of four output channels, the rows, for up to 16 input channels, the columns. Each lane has those of one column or two.
struct Rows {
    low: vec4<f32>,
    high: vec4<f32>,
}

fn rows_at(row: u32, quad: u32, own: u32) -> Rows {
    if tile_quads <= 2u { return Rows(weight_at(row + own, quad), vec4<f32>()); }
    return Rows(weight_at(row + own, quad), weight_at(row + 8u + own, quad));
}

fn row_of(rows: Rows, r: u32, q: u32) -> vec4<f32> {
    let weights = select(rows.high[r], rows.low[r], q < 2u);
    let l = q % 2u * 4u;
    return vec4(
        subgroupShuffle(weights, l), subgroupShuffle(weights, l + 1u),
        subgroupShuffle(weights, l + 2u), subgroupShuffle(weights, l + 3u),
    );
}

/// The gradients of a quad of channels, 0 outside the output. What is above and to the left of it wraps round to huge numbers.
fn grad_at(n: u32, y: u32, x: u32, quad: u32) -> vec4<f32> {
    let i = ((n * out_height + y) * out_width + x) * out_channels + quad * 4u;
    let inside = y < out_height && x < out_width;
    if has_out_quads { return select(vec4(0.0), output_grad_texel_at(i / 4u), inside); }
    return select(vec4(0.0), output_grad_four_at(i), inside);
}

/// Adds the products of a row of the kernel, from column `first_kx` on, and the first `count` output channels of a quad.
fn add_row(n: u32, y: u32, x: u32, ky: u32, first_kx: u32, first_c: u32, quad: u32, count: u32, own: u32) {
    if first_kx >= kernel { return; }
    let p0 = grad_at(n, y, x, quad);
    let p1 = grad_at(n, y, x + 1u, quad);
    let p2 = grad_at(n, y, x + 2u, quad);
    let p3 = grad_at(n, y, x + 3u, quad);
    let row = ky * run + first_c;
    add_products(0u, count, rows_at(row + first_kx * in_channels, quad, own), p0, p1, p2, p3);
    if first_kx + stride >= kernel { return; }
    var l1 = grad_at(n, y, x - 1u, quad);
    add_products(0u, count, rows_at(row + (first_kx + stride) * in_channels, quad, own), l1, p0, p1, p2);
    var l2 = p0;
    var l3 = p1;
    var left = x - 1u;
    for (var kx = first_kx + 2u * stride; kx < kernel; kx += stride) {
        left -= 1u;
        let l0 = grad_at(n, y, left, quad);
        add_products(0u, count, rows_at(row + kx * in_channels, quad, own), l0, l1, l2, l3);
        l3 = l2; l2 = l1; l1 = l0;
    }
}

fn input_quad_at(i: u32) -> vec4<f32> {
    if has_in_quads { return input_texel_at(i / 4u); }
    return input_four_at(i);
}

fn put_quad(q: u32, place: Place, first_quad: u32) {
    if q >= tile_quads { return; }
    let i = q * 4u;
    put_before(place, 0u, first_quad + q, sums[i]); put_before(place, 1u, first_quad + q, sums[i + 1u]);
    put_before(place, 2u, first_quad + q, sums[i + 2u]); put_before(place, 3u, first_quad + q, sums[i + 3u]);
}

@compute @workgroup_size(workgroup_size)
fn conv2d_backward_input(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last strip help to load weights, and store nothing.
    let tile = tile_index(group, groups);
    let phase = tile / groups_per_phase;
    let place = place_of(tile % groups_per_phase * workgroup_size + local, phase);
    let first_quad = group.z * tile_quads;
    let up = (place.y + before) / stride;
    let left = (place.x + before) / stride;
    let first_ky = (phase / stride + before) % stride;
    let first_kx = (phase % stride + before) % stride;
    for (var quad = 0u; quad < out_channels / 4u; quad++) {
        for (var ky = first_ky; ky < kernel; ky += stride) {
            add_row(place.n, up - ky / stride, left, ky, first_kx, first_quad * 4u, quad, 4u, lane % 8u);
        }
    }
    if !has_out_quads {
        for (var ky = first_ky; ky < kernel; ky += stride) {
            let quad = out_channels / 4u;
            add_row(place.n, up - ky / stride, left, ky, first_kx, first_quad * 4u, quad, out_channels % 4u, lane % 8u);
        }
    }
    put_quad(0u, place, first_quad); put_quad(1u, place, first_quad);
    put_quad(2u, place, first_quad); put_quad(3u, place, first_quad);
}
