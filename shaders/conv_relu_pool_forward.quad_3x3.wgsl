// Convolution by kernels of 3x3 with stride 1 and bias, ReLU and max-pooling over windows of 2x2; a workgroup for 16 windows, in
// which each invocation has four neighbouring channels: 16 tiles of 4 channels by the 4 positions of a window, in registers.
//
//   map[n,y,x,o]      = bias[o] + sum over ky, kx, c of input[n, y + ky - before, x + kx - before, c] * weight[ky,kx,c,o]
//   output[n,y,x,o]   = max(0, max over dy, dx of map[n, y * 2 + dy, x * 2 + dx, o])
//   argmax[n,y,x,o/4] = for each of four channels a byte: dy * 2 + dx of the first of the largest, 255 where it is not above 0
//
// with zeros outside the input. A window sees a patch of 4x4 positions. Four input channels at a time, all nine positions of
// the kernel are unrolled, so that a float once loaded serves in all of its products: each of the first 8 lanes loads the
// patch of one window, which is broadcast to the others, then that of another. Needs subgroups of 8 lanes or more, and numbers
// of channels that are multiples of 4. CPU twin: ConvReluPoolForward in src/ops/conv_relu_pool.rs.

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

/// Four channels of the 4x4 positions that a lane's window sees, row by row.
var<private> seen: array<vec4<f32>, 16>;

/// For each position of the kernel, the weights of four output channels for each of four input channels.
var<private> weights: array<mat4x4<f32>, 9>;

/// Four channels of a position; 0 outside the map. What is above and to the left of it wraps round to huge numbers.
fn input_at(n: u32, y: u32, x: u32, in_quad: u32) -> vec4<f32> {
    let inside = y < in_height && x < in_width;
    return select(vec4(0.0), textureLoad(input, texel(((n * in_height + y) * in_width + x) * in_quads + in_quad)), inside);
}

fn load_row(row: u32, n: u32, y: u32, x: u32, in_quad: u32) {
    seen[row] = input_at(n, y, x, in_quad);
    seen[row + 1u] = input_at(n, y, x + 1u, in_quad);
    seen[row + 2u] = input_at(n, y, x + 2u, in_quad);
    seen[row + 3u] = input_at(n, y, x + 3u, in_quad);
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

fn load_tap(tap: u32, in_quad: u32, quad: u32) {
    let i = (tap * in_channels + in_quad * 4u) * quads + quad;
    weights[tap] = mat4x4(textureLoad(weight, texel(i)), textureLoad(weight, texel(i + quads)), textureLoad(weight, texel(i + 2u * quads)), textureLoad(weight, texel(i + 3u * quads)));
}

/// `sum` and the products of four inputs. `fma` is one instruction where the processor has it, and no sum of its own before.
fn add(tap: u32, inputs: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    let w = weights[tap];
    return fma(w[3], vec4(inputs.w), fma(w[2], vec4(inputs.z), fma(w[1], vec4(inputs.y), fma(w[0], vec4(inputs.x), sum))));
}

/// `sum` and the products of all positions of the kernel, whose first meets position `i` of the patch of lane `l`.
fn add_taps(l: u32, i: u32, sum: vec4<f32>) -> vec4<f32> {
    let first = add(2u, subgroupShuffle(seen[i + 2u], l), add(1u, subgroupShuffle(seen[i + 1u], l), add(0u, subgroupShuffle(seen[i], l), sum)));
    let second = add(5u, subgroupShuffle(seen[i + 6u], l), add(4u, subgroupShuffle(seen[i + 5u], l), add(3u, subgroupShuffle(seen[i + 4u], l), first)));
    return add(8u, subgroupShuffle(seen[i + 10u], l), add(7u, subgroupShuffle(seen[i + 9u], l), add(6u, subgroupShuffle(seen[i + 8u], l), second)));
}

/// The sums of the four positions of the window of lane `l`.
fn add_window(l: u32, sums: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4(add_taps(l, 0u, sums[0]), add_taps(l, 1u, sums[1]), add_taps(l, 4u, sums[2]), add_taps(l, 5u, sums[3]));
}

fn store(window: u32, quad: u32, map: mat4x4<f32>) {
    if window >= windows || quad >= quads { return; }
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

    let four = bias[quad];
    var sums: array<mat4x4<f32>, 16>;
    sums[0] = mat4x4(four, four, four, four);
    sums[1] = sums[0]; sums[2] = sums[0]; sums[3] = sums[0]; sums[4] = sums[0]; sums[5] = sums[0];
    sums[6] = sums[0]; sums[7] = sums[0]; sums[8] = sums[0]; sums[9] = sums[0]; sums[10] = sums[0];
    sums[11] = sums[0]; sums[12] = sums[0]; sums[13] = sums[0]; sums[14] = sums[0]; sums[15] = sums[0];
    for (var in_quad = 0u; in_quad < in_quads; in_quad++) {
        load_tap(0u, in_quad, quad); load_tap(1u, in_quad, quad); load_tap(2u, in_quad, quad);
        load_tap(3u, in_quad, quad); load_tap(4u, in_quad, quad); load_tap(5u, in_quad, quad);
        load_tap(6u, in_quad, quad); load_tap(7u, in_quad, quad); load_tap(8u, in_quad, quad);
        load_window(first + lane % 8u, in_quad);
        sums[0] = add_window(0u, sums[0]); sums[1] = add_window(1u, sums[1]);
        sums[2] = add_window(2u, sums[2]); sums[3] = add_window(3u, sums[3]);
        sums[4] = add_window(4u, sums[4]); sums[5] = add_window(5u, sums[5]);
        sums[6] = add_window(6u, sums[6]); sums[7] = add_window(7u, sums[7]);
        load_window(first + 8u + lane % 8u, in_quad);
        sums[8] = add_window(0u, sums[8]); sums[9] = add_window(1u, sums[9]);
        sums[10] = add_window(2u, sums[10]); sums[11] = add_window(3u, sums[11]);
        sums[12] = add_window(4u, sums[12]); sums[13] = add_window(5u, sums[13]);
        sums[14] = add_window(6u, sums[14]); sums[15] = add_window(7u, sums[15]);
    }
    store(first, quad, sums[0]); store(first + 1u, quad, sums[1]); store(first + 2u, quad, sums[2]);
    store(first + 3u, quad, sums[3]); store(first + 4u, quad, sums[4]); store(first + 5u, quad, sums[5]);
    store(first + 6u, quad, sums[6]); store(first + 7u, quad, sums[7]); store(first + 8u, quad, sums[8]);
    store(first + 9u, quad, sums[9]); store(first + 10u, quad, sums[10]); store(first + 11u, quad, sums[11]);
    store(first + 12u, quad, sums[12]); store(first + 13u, quad, sums[13]); store(first + 14u, quad, sums[14]);
    store(first + 15u, quad, sums[15]);
}
