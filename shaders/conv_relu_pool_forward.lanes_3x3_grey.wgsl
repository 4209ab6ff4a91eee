// Convolution of one channel by kernels of 3x3 with stride 1 and bias, ReLU and max-pooling over windows of 2x2; a workgroup for
// 64 windows, in which each invocation has four neighbouring output channels and keeps their kernels in registers.
//
//   map[n,y,x,o]      = bias[o] + sum over ky, kx of input[n, y + ky - before, x + kx - before] * weight[ky,kx,o]
//   output[n,y,x,o]   = max(0, max over dy, dx of map[n, y * 2 + dy, x * 2 + dx, o])
//   argmax[n,y,x,o/4] = for each of four channels a byte: dy * 2 + dx of the first of the largest, 255 where it is not above 0
//
// with zeros outside the input. A window sees a patch of 4x4 positions: of eight windows at a time, each of the first 8 lanes
// loads the patch of one, which is broadcast to the others. Needs subgroups of 8 lanes or more, one input channel, and a number
// of output channels that is a multiple of 4.
// Parts: conv2d, runs, conv_relu_pool, tiles, lane_products, texels, texels_f32, input_texels, weight_texels, run_input,
// run_weight, maxima, maxima_fours.
// CPU twin: ConvReluPoolForward in src/ops/conv_relu_pool.rs.

@group(0) @binding(0) var input: Texels;                          // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var weight: Texels;                         // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;  // [out_channels]

/// The kernels of four output channels, position by position.
var<private> weights: array<vec4<f32>, 9>;

/// The rows of the 4x4 positions that a lane's window sees.
var<private> seen: mat4x4<f32>;

/// Four positions of a row; 0 outside the map. What is above and to the left of it wraps round to huge numbers.
fn row_at(n: u32, y: u32, x: u32) -> vec4<f32> {
    let columns = vec4(x, x + 1u, x + 2u, x + 3u);
    let inside = (columns < vec4(in_width)) & vec4(y < in_height);
    return select(vec4(0.0), input_four_at((n * in_height + y) * in_width + x), inside);
}

fn load_window(window: u32) {
    let n = window / pooled_area;
    let y = window / pooled_width % pooled_height * 2u - before;
    let x = window % pooled_width * 2u - before;
    seen = mat4x4(row_at(n, y, x), row_at(n, y + 1u, x), row_at(n, y + 2u, x), row_at(n, y + 3u, x));
}

/// `sum` and the products of a row of the kernel with the positions of a row from `x` on. `fma` is one instruction where the
/// processor has it.
fn add_row(ky: u32, row: vec4<f32>, x: u32, sum: vec4<f32>) -> vec4<f32> {
    let i = ky * 3u;
    return fma(weights[i + 2u], vec4(row[x + 2u]), fma(weights[i + 1u], vec4(row[x + 1u]), fma(weights[i], vec4(row[x]), sum)));
}

/// The map at a position of a window that sees `rows`.
fn map_at(rows: mat4x4<f32>, y: u32, x: u32, start: vec4<f32>) -> vec4<f32> {
    return add_row(2u, rows[y + 2u], x, add_row(1u, rows[y + 1u], x, add_row(0u, rows[y], x, start)));
}

/// Computes and stores the window whose positions lane `l` has loaded. Nothing is computed for windows that are not stored.
fn put_window(window: u32, l: u32, quad: u32, start: vec4<f32>) {
    let rows = of_lane(seen, l);
    if window >= windows || quad >= quads { return; }
    store(window, quad, mat4x4(
        map_at(rows, 0u, 0u, start), map_at(rows, 0u, 1u, start), map_at(rows, 1u, 0u, start), map_at(rows, 1u, 1u, start),
    ));
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last channel help to load inputs, and store nothing.
    let quad = group.z * workgroup_size + local;
    let first = tile_index(group, groups) * 64u;

    weights = array(
        weight_texel_at(quad), weight_texel_at(quads + quad), weight_texel_at(2u * quads + quad),
        weight_texel_at(3u * quads + quad), weight_texel_at(4u * quads + quad), weight_texel_at(5u * quads + quad),
        weight_texel_at(6u * quads + quad), weight_texel_at(7u * quads + quad), weight_texel_at(8u * quads + quad),
    );
    let start = bias[quad];
    for (var eight = 0u; eight < 64u; eight += 8u) {
        let window = first + eight;
        load_window(window + lane % 8u);
        put_window(window, 0u, quad, start); put_window(window + 1u, 1u, quad, start);
        put_window(window + 2u, 2u, quad, start); put_window(window + 3u, 3u, quad, start);
        put_window(window + 4u, 4u, quad, start); put_window(window + 5u, 5u, quad, start);
        put_window(window + 6u, 6u, quad, start); put_window(window + 7u, 7u, quad, start);
    }
}
