// Convolution by kernels of 3x3 with stride 1 and bias, ReLU and max-pooling over windows of 2x2; a workgroup for 16 windows, in
// which each invocation has four neighbouring channels.
//
//   map[n,y,x,o]      = bias[o] + sum over ky, kx, c of input[n, y + ky - before, x + kx - before, c] * weight[ky,kx,c,o]
//   output[n,y,x,o]   = max(0, max over dy, dx of map[n, y * 2 + dy, x * 2 + dx, o])
//   argmax[n,y,x,o/4] = for each of four channels a byte: dy * 2 + dx of the first of the largest, 255 where it is not above 0
//
// with zeros outside the input. A window sees a patch of 4x4 positions. In a row, two neighbouring sums of three products come from
// the patch's four numbers d and the three weights w with four products instead of six:
//
//   (d0 - d2) w0,   (d1 + d2) (w0 + w1 + w2) / 2,   (d2 - d1) (w0 - w1 + w2) / 2,   (d1 - d3) w2
//
// The first three together are the left sum; the second without the third and the fourth is the right one (Winograd, Arithmetic
// Complexity of Computations, 1980). Each of the four is summed over input channels and over the kernel's rows before. Four
// input channels at a time, each of the first 8 lanes loads the patch of one window, which is broadcast to the others, and then
// that of another. Needs subgroups of 8 lanes or more, and numbers of channels that are multiples of 4.
// CPU twin: ConvReluPoolForward in src/ops/conv_relu_pool.rs.

override batch: u32;
override in_channels: u32;
override in_height: u32;
override in_width: u32;
override out_channels: u32;
override kernel: u32;  // 3
override padding: u32;
override pool: u32;  // 2
override workgroup_size: u32;
override texels_per_row: u32;

override before: u32 = padding / 2u;
override pooled_height: u32 = (in_height + padding - kernel + 1u) / pool;
override pooled_width: u32 = (in_width + padding - kernel + 1u) / pool;
override windows: u32 = batch * pooled_height * pooled_width;
override in_quads: u32 = in_channels / 4u;
override quads: u32 = out_channels / 4u;

@group(0) @binding(0) var input: texture_storage_2d<rgba32float, read>;   // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var weight: texture_storage_2d<rgba32float, read>;  // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;          // [out_channels]
@group(0) @binding(3) var<storage, read_write> output: array<vec4<f32>>;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(4) var<storage, read_write> argmax: array<u32>;        // [batch, pooled_height, pooled_width, quads]

/// The place of texel `i` in a texture.
fn texel(i: u32) -> vec2<u32> {
    return vec2(i % texels_per_row, i / texels_per_row);
}

/// Four channels of the patch that a lane's window sees, as the first factors of the four products: row by row, in each d0 - d2, d1 + d2,
/// d2 - d1 and d1 - d3.
var<private> seen: array<vec4<f32>, 16>;

/// The second factors, for each row of the kernel: those of four output channels for each of four input channels.
var<private> weights: array<mat4x4<f32>, 12>;

/// For each of 16 windows the sums of the four products, in the upper row of the window and in the lower.
var<private> sums: array<vec4<f32>, 128>;

/// Four channels of a position; 0 outside the map. What is above and to the left of it wraps round to huge numbers.
fn input_at(n: u32, y: u32, x: u32, in_quad: u32) -> vec4<f32> {
    let inside = y < in_height && x < in_width;
    return select(vec4(0.0), textureLoad(input, texel(((n * in_height + y) * in_width + x) * in_quads + in_quad)), inside);
}

fn load_row(i: u32, n: u32, y: u32, x: u32, in_quad: u32) {
    let a = input_at(n, y, x, in_quad);
    let b = input_at(n, y, x + 1u, in_quad);
    let c = input_at(n, y, x + 2u, in_quad);
    let d = input_at(n, y, x + 3u, in_quad);
    seen[i] = a - c;
    seen[i + 1u] = b + c;
    seen[i + 2u] = c - b;
    seen[i + 3u] = b - d;
}

fn load_window(window: u32, in_quad: u32) {
    let n = window / (pooled_height * pooled_width);
    let y = window / pooled_width % pooled_height * 2u - before;
    let x = window % pooled_width * 2u - before;
    load_row(0u, n, y, x, in_quad);
    load_row(4u, n, y + 1u, x, in_quad);
    load_row(8u, n, y + 2u, x, in_quad);
    load_row(12u, n, y + 3u, x, in_quad);
}

fn weights_at(ky: u32, kx: u32, in_quad: u32, quad: u32) -> mat4x4<f32> {
    let i = ((ky * kernel + kx) * in_channels + in_quad * 4u) * quads + quad;
    return mat4x4(textureLoad(weight, texel(i)), textureLoad(weight, texel(i + quads)), textureLoad(weight, texel(i + 2u * quads)), textureLoad(weight, texel(i + 3u * quads)));
}

fn load_weights(ky: u32, in_quad: u32, quad: u32) {
    let a = weights_at(ky, 0u, in_quad, quad);
    let b = weights_at(ky, 1u, in_quad, quad);
    let c = weights_at(ky, 2u, in_quad, quad);
    weights[ky * 4u] = a;
    weights[ky * 4u + 1u] = (a + c) * 0.5 + b * 0.5;
    weights[ky * 4u + 2u] = (a + c) * 0.5 - b * 0.5;
    weights[ky * 4u + 3u] = c;
}

/// `sum` and the products of four inputs. `fma` is one instruction where the processor has it.
fn add(i: u32, inputs: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    let w = weights[i];
    return fma(w[3], vec4(inputs.w), fma(w[2], vec4(inputs.z), fma(w[1], vec4(inputs.y), fma(w[0], vec4(inputs.x), sum))));
}

/// Adds the `k`th of the four products in all rows of window `l`.
fn add_products(k: u32, l: u32) {
    let first = subgroupShuffle(seen[k], l % 8u);
    let second = subgroupShuffle(seen[k + 4u], l % 8u);
    let third = subgroupShuffle(seen[k + 8u], l % 8u);
    let fourth = subgroupShuffle(seen[k + 12u], l % 8u);
    let i = l * 8u + k;
    sums[i] = add(k + 8u, third, add(k + 4u, second, add(k, first, sums[i])));
    sums[i + 4u] = add(k + 8u, fourth, add(k + 4u, third, add(k, second, sums[i + 4u])));
}

fn add_window(l: u32) {
    add_products(0u, l); add_products(1u, l); add_products(2u, l); add_products(3u, l);
}

fn store(l: u32, window: u32, quad: u32, bias_of_quad: vec4<f32>) {
    if window >= windows || quad >= quads { return; }
    let i = l * 8u;
    let map = array(
        bias_of_quad + sums[i] + sums[i + 1u] + sums[i + 2u], bias_of_quad + sums[i + 1u] - sums[i + 2u] - sums[i + 3u],
        bias_of_quad + sums[i + 4u] + sums[i + 5u] + sums[i + 6u], bias_of_quad + sums[i + 5u] - sums[i + 6u] - sums[i + 7u],
    );
    // A later one takes over only where it is larger.
    let first_row = max(map[0], map[1]);
    let second_row = max(map[2], map[3]);
    let largest = max(first_row, second_row);
    let code_of_largest = select(select(vec4(0u), vec4(1u), map[1] > map[0]), select(vec4(2u), vec4(3u), map[3] > map[2]), second_row > first_row);
    let code = select(vec4(255u), code_of_largest, largest > vec4(0.0));
    output[window * quads + quad] = max(largest, vec4(0.0));
    argmax[window * quads + quad] = pack4xU8(code);
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
    let first = (group.x + group.y * groups.x) * 16u;

    for (var in_quad = 0u; in_quad < in_quads; in_quad++) {
        load_weights(0u, in_quad, quad); load_weights(1u, in_quad, quad); load_weights(2u, in_quad, quad);
        load_window(first + lane % 8u, in_quad);
        add_window(0u); add_window(1u); add_window(2u); add_window(3u);
        add_window(4u); add_window(5u); add_window(6u); add_window(7u);
        load_window(first + 8u + lane % 8u, in_quad);
        add_window(8u); add_window(9u); add_window(10u); add_window(11u);
        add_window(12u); add_window(13u); add_window(14u); add_window(15u);
    }
    let four = bias[quad];
    store(0u, first, quad, four); store(1u, first + 1u, quad, four); store(2u, first + 2u, quad, four);
    store(3u, first + 3u, quad, four); store(4u, first + 4u, quad, four); store(5u, first + 5u, quad, four);
    store(6u, first + 6u, quad, four); store(7u, first + 7u, quad, four); store(8u, first + 8u, quad, four);
    store(9u, first + 9u, quad, four); store(10u, first + 10u, quad, four); store(11u, first + 11u, quad, four);
    store(12u, first + 12u, quad, four); store(13u, first + 13u, quad, four); store(14u, first + 14u, quad, four);
    store(15u, first + 15u, quad, four);
}
