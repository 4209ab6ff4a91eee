// Convolution by kernels of 3x3 with stride 1 and bias, and a rectifier; an invocation for a tile of 4x4 positions, of which it has
// up to 16 output channels.
//
//   output[n,y,x,o] = rectified(bias[o] +
//       sum over ky, kx, c of input[n, y + ky - before, x + kx - before, c] * weight[ky,kx,c,o])
//
// with zeros outside the input. The four sums of a row of the tile come from six products for each row of the kernel and each
// input channel, which are summed over both before (`winograd`). Four input channels at a time, the rows of the kernel slide
// down the tile, so that each row of the input is loaded once for all of them. All invocations need the same weights at a time:
// each of the first 8 lanes loads some of them for the others. Needs subgroups of 8 lanes or more, and numbers of channels that
// are multiples of 4.
//
// Parts: stride, conv2d, runs, tiles, texels, texels_f16 or texels_f32, strip_products, lane_rows, input_texels, weight_texels,
// run_input, run_weight, rectifier, output_fours, winograd.
// CPU twin: Conv2dForward in src/ops/conv2d.rs.

@group(0) @binding(0) var input: Texels;                         // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var weight: Texels;                        // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>; // [out_channels]

/// For each of six points a set, in which the four rows of the tile are the invocation's vectors.
const SUMS = 96u;

override tiles_per_row: u32 = (out_width + 3u) / 4u;
override tiles_per_column: u32 = (out_height + 3u) / 4u;

var<private> first_quad: u32;

fn quad_at(row: u32, q: u32) -> vec4<f32> {
    return weight_at(row, first_quad + q);
}

fn input_points(n: u32, y: u32, x: u32, c: u32) -> Points {
    return numbers_at_points(
        input_at(n, y, x, c), input_at(n, y, x + 1u, c), input_at(n, y, x + 2u, c),
        input_at(n, y, x + 3u, c), input_at(n, y, x + 4u, c), input_at(n, y, x + 5u, c),
    );
}

/// What a row of the kernel has at each point, for the lanes to share: their low quads and their high ones.
struct Taps {
    low: Points,
    high: Points,
}

fn taps_at(row: u32, own: u32) -> Taps {
    let left = rows_at(row, own);
    let middle = rows_at(row + in_channels, own);
    let right = rows_at(row + 2u * in_channels, own);
    return Taps(taps_at_points(left.low, middle.low, right.low), taps_at_points(left.high, middle.high, right.high));
}

/// Adds the products of a row of the kernel and what the four rows of the tile see.
fn add_row(taps: Taps, a: Points, b: Points, c: Points, d: Points) {
    add_products(0u, 4u, Rows(taps.low.p0, taps.high.p0), a.p0, b.p0, c.p0, d.p0);
    add_products(16u, 4u, Rows(taps.low.p1, taps.high.p1), a.p1, b.p1, c.p1, d.p1);
    add_products(32u, 4u, Rows(taps.low.p2, taps.high.p2), a.p2, b.p2, c.p2, d.p2);
    add_products(48u, 4u, Rows(taps.low.p3, taps.high.p3), a.p3, b.p3, c.p3, d.p3);
    add_products(64u, 4u, Rows(taps.low.p4, taps.high.p4), a.p4, b.p4, c.p4, d.p4);
    add_products(80u, 4u, Rows(taps.low.p5, taps.high.p5), a.p5, b.p5, c.p5, d.p5);
}

/// Stores row `r` of the tile.
fn put_row(r: u32, q: u32, n: u32, y: u32, x: u32) {
    let i = q * 4u + r;
    let results = results_of_points(
        Points(sums[i], sums[i + 16u], sums[i + 32u], sums[i + 48u], sums[i + 64u], sums[i + 80u]),
    );
    let quad = first_quad + q;
    let four = bias[quad];
    put(n, y + r, x, quad, four + results[0]);
    put(n, y + r, x + 1u, quad, four + results[1]);
    put(n, y + r, x + 2u, quad, four + results[2]);
    put(n, y + r, x + 3u, quad, four + results[3]);
}

fn put_quad(q: u32, n: u32, y: u32, x: u32) {
    if q >= tile_quads { return; }
    put_row(0u, q, n, y, x); put_row(1u, q, n, y, x); put_row(2u, q, n, y, x); put_row(3u, q, n, y, x);
}

@compute @workgroup_size(workgroup_size)
fn conv2d_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last tile help to load weights, and store nothing.
    let tile = tile_index(group, groups) * workgroup_size + local;
    let out_x = tile % tiles_per_row * 4u;
    let out_y = tile / tiles_per_row % tiles_per_column * 4u;
    let n = tile / (tiles_per_row * tiles_per_column);
    let x = out_x - before;
    let y = out_y - before;
    first_quad = group.z * tile_quads;

    for (var c = 0u; c < in_channels; c += 4u) {
        var first = input_points(n, y, x, c);
        var second = input_points(n, y + 1u, x, c);
        var third = input_points(n, y + 2u, x, c);
        for (var ky = 0u; ky < 3u; ky++) {
            let fourth = input_points(n, y + ky + 3u, x, c);
            add_row(taps_at(ky * run + c, lane % 8u), first, second, third, fourth);
            first = second; second = third; third = fourth;
        }
    }
    put_quad(0u, n, out_y, out_x); put_quad(1u, n, out_y, out_x);
    put_quad(2u, n, out_y, out_x); put_quad(3u, n, out_y, out_x);
}
