// Convolution by kernels of 3x3 with stride 1 and bias, ReLU and max-pooling over windows of 2x2; a workgroup for 16 windows, in
// which each invocation has four neighbouring channels.
//
//   map[n,y,x,o]      = bias[o] + sum over ky, kx, c of input[n, y + ky - before, x + kx - before, c] * weight[ky,kx,c,o]
//   output[n,y,x,o]   = max(0, max over dy, dx of map[n, y * 2 + dy, x * 2 + dx, o])
//   argmax[n,y,x,o/4] = for each of four channels a byte: dy * 2 + dx of the first of the largest, 255 where it is not above 0
//
// with zeros outside the input. A window sees a patch of 4x4 positions. In a row, two neighbouring sums of three products come
// from the patch's four numbers d and the three weights w with four products instead of six:
//
//   (d0 - d2) w0,   (d1 + d2) (w0 + w1 + w2) / 2,   (d2 - d1) (w0 - w1 + w2) / 2,   (d1 - d3) w2
//
// The first three together are the left sum; the second without the third and the fourth is the right one (Winograd, Arithmetic
// Complexity of Computations, 1980). Each of the four is summed over input channels and over the kernel's rows before. Four
// input channels at a time, each of the first 8 lanes loads the patch of one window, which is broadcast to the others, and then
// that of another. Needs subgroups of 8 lanes or more, and numbers of channels that are multiples of 4.
//
// Parts: conv2d, runs, conv_relu_pool, tiles, lane_products, texels, texels_f32, input_texels, weight_texels, run_input,
// run_weight, maxima, maxima_fours.
// CPU twin: ConvReluPoolForward in src/ops/conv_relu_pool.rs.

@group(0) @binding(0) var input: Texels;                          // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var weight: Texels;                         // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;  // [out_channels]

/// Four channels of the patch that a lane's window sees, as the first factors of the four products: row by row, in each
/// d0 - d2, d1 + d2, d2 - d1 and d1 - d3.
var<private> seen: array<vec4<f32>, 16>;

/// The second factors, for each row of the kernel: those of four output channels for each of four input channels.
var<private> weights: array<mat4x4<f32>, 12>;

/// For each of 16 windows the sums of the four products, in the upper row of the window and in the lower.
var<private> sums: array<vec4<f32>, 128>;

fn load_row(i: u32, n: u32, y: u32, x: u32, c: u32) {
    let p0 = input_at(n, y, x, c);
    let p1 = input_at(n, y, x + 1u, c);
    let p2 = input_at(n, y, x + 2u, c);
    let p3 = input_at(n, y, x + 3u, c);
    seen[i] = p0 - p2;
    seen[i + 1u] = p1 + p2;
    seen[i + 2u] = p2 - p1;
    seen[i + 3u] = p1 - p3;
}

fn load_window(window: u32, c: u32) {
    let n = window / pooled_area;
    let y = window / pooled_width % pooled_height * 2u - before;
    let x = window % pooled_width * 2u - before;
    load_row(0u, n, y, x, c);
    load_row(4u, n, y + 1u, x, c);
    load_row(8u, n, y + 2u, x, c);
    load_row(12u, n, y + 3u, x, c);
}

fn load_weights(ky: u32, c: u32, quad: u32) {
    let row = ky * run + c;
    let left = weights_at(row, quad);
    let middle = weights_at(row + in_channels, quad);
    let right = weights_at(row + 2u * in_channels, quad);
    weights[ky * 4u] = left;
    weights[ky * 4u + 1u] = (left + right) * 0.5 + middle * 0.5;
    weights[ky * 4u + 2u] = (left + right) * 0.5 - middle * 0.5;
    weights[ky * 4u + 3u] = right;
}

/// `sum` and the products of four inputs. `fma` is one instruction where the processor has it.
fn add(i: u32, inputs: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    let w = weights[i];
    return fma(w[3], vec4(inputs.w), fma(w[2], vec4(inputs.z), fma(w[1], vec4(inputs.y), fma(w[0], vec4(inputs.x), sum))));
}

/// Adds the `k`th of the four products in all rows of window `l`.
fn add_terms(k: u32, l: u32) {
    let first = subgroupShuffle(seen[k], l % 8u);
    let second = subgroupShuffle(seen[k + 4u], l % 8u);
    let third = subgroupShuffle(seen[k + 8u], l % 8u);
    let fourth = subgroupShuffle(seen[k + 12u], l % 8u);
    let i = l * 8u + k;
    sums[i] = add(k + 8u, third, add(k + 4u, second, add(k, first, sums[i])));
    sums[i + 4u] = add(k + 8u, fourth, add(k + 4u, third, add(k, second, sums[i + 4u])));
}

fn add_window(l: u32) {
    add_terms(0u, l); add_terms(1u, l); add_terms(2u, l); add_terms(3u, l);
}

/// Stores window `l` of the sums. Nothing is computed for windows that are not stored.
fn put_window(l: u32, window: u32, quad: u32, bias_of_quad: vec4<f32>) {
    if window >= windows || quad >= quads { return; }
    let i = l * 8u;
    store(window, quad, mat4x4(
        bias_of_quad + sums[i] + sums[i + 1u] + sums[i + 2u], bias_of_quad + sums[i + 1u] - sums[i + 2u] - sums[i + 3u],
        bias_of_quad + sums[i + 4u] + sums[i + 5u] + sums[i + 6u], bias_of_quad + sums[i + 5u] - sums[i + 6u] - sums[i + 7u],
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
    let first = tile_index(group, groups) * 16u;

    for (var c = 0u; c < in_channels; c += 4u) {
        load_weights(0u, c, quad); load_weights(1u, c, quad); load_weights(2u, c, quad);
        load_window(first + lane % 8u, c);
        add_window(0u); add_window(1u); add_window(2u); add_window(3u);
        add_window(4u); add_window(5u); add_window(6u); add_window(7u);
        load_window(first + 8u + lane % 8u, c);
        add_window(8u); add_window(9u); add_window(10u); add_window(11u);
        add_window(12u); add_window(13u); add_window(14u); add_window(15u);
    }
    let four = bias[quad];
    put_window(0u, first, quad, four); put_window(1u, first + 1u, quad, four);
    put_window(2u, first + 2u, quad, four); put_window(3u, first + 3u, quad, four);
    put_window(4u, first + 4u, quad, four); put_window(5u, first + 5u, quad, four);
    put_window(6u, first + 6u, quad, four); put_window(7u, first + 7u, quad, four);
    put_window(8u, first + 8u, quad, four); put_window(9u, first + 9u, quad, four);
    put_window(10u, first + 10u, quad, four); put_window(11u, first + 11u, quad, four);
    put_window(12u, first + 12u, quad, four); put_window(13u, first + 13u, quad, four);
    put_window(14u, first + 14u, quad, four); put_window(15u, first + 15u, quad, four);
}
