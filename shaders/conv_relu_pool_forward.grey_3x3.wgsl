// Convolution of one channel by kernels of 3x3 with stride 1 and bias, ReLU and max-pooling over windows of 2x2; a workgroup for 64
// windows, in which each invocation has four neighbouring output channels and keeps their kernels in registers.
//
//   map[n,y,x,o]      = bias[o] + sum over ky, kx of input[n, y + ky - before, x + kx - before] * weight[ky,kx,o]
//   output[n,y,x,o]   = max(0, max over dy, dx of map[n, y * 2 + dy, x * 2 + dx, o])
//   argmax[n,y,x,o/4] = for each of four channels a byte: dy * 2 + dx of the first of the largest, 255 where it is not above 0
//
// with zeros outside the input. A window sees a patch of 4x4 positions: of eight windows at a time, each of the first 8 lanes
// loads the patch of one, which is broadcast to the others. Needs subgroups of 8 lanes or more, one input channel, and a number
// of output channels that is a multiple of 4. CPU twin: ConvReluPoolForward in src/ops/conv_relu_pool.rs.

override batch: u32;
override in_channels: u32;  // 1
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

/// Four neighbouring floats out of two texels, the first at place `i % 4u` of the first texel.
fn four_of(here: vec4<f32>, next: vec4<f32>, i: u32) -> vec4<f32> {
    let moved = select(here, vec4(here.zw, next.xy), (i & 2u) != 0u);
    return select(moved, vec4(moved.yzw, select(next.x, next.z, (i & 2u) != 0u)), (i & 1u) != 0u);
}

/// Four neighbouring floats of `input` from the `i`-th on; they may lie before the texture.
fn input_four_at(i: u32) -> vec4<f32> {
    let first = u32(i32(i) >> 2u);
    return four_of(textureLoad(input, texel(first)), textureLoad(input, texel(first + 1u)), i);
}

/// The kernels of four output channels, position by position.
var<private> weights: array<vec4<f32>, 9>;

/// The rows of the 4x4 positions that a lane's window sees.
var<private> seen: array<vec4<f32>, 4>;

/// Four positions of a row; 0 outside the map. What is above and to the left of it wraps round to huge numbers.
fn row_at(n: u32, y: u32, x: u32) -> vec4<f32> {
    let columns = vec4(x, x + 1u, x + 2u, x + 3u);
    let inside = (columns < vec4(in_width)) & vec4(y < in_height);
    return select(vec4(0.0), input_four_at((n * in_height + y) * in_width + x), inside);
}

fn load_window(window: u32) {
    let n = window / (pooled_height * pooled_width);
    let y = window / pooled_width % pooled_height * 2u - before;
    let x = window % pooled_width * 2u - before;
    seen[0] = row_at(n, y, x);
    seen[1] = row_at(n, y + 1u, x);
    seen[2] = row_at(n, y + 2u, x);
    seen[3] = row_at(n, y + 3u, x);
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

/// The window whose positions lane `l` has loaded.
fn store(window: u32, l: u32, quad: u32, start: vec4<f32>) {
    let rows = mat4x4(subgroupShuffle(seen[0], l), subgroupShuffle(seen[1], l), subgroupShuffle(seen[2], l), subgroupShuffle(seen[3], l));
    if window >= windows || quad >= quads { return; }
    let map = mat4x4(map_at(rows, 0u, 0u, start), map_at(rows, 0u, 1u, start), map_at(rows, 1u, 0u, start), map_at(rows, 1u, 1u, start));
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
    let first = (group.x + group.y * groups.x) * 64u;

    weights[0] = textureLoad(weight, texel(quad)); weights[1] = textureLoad(weight, texel(quads + quad)); weights[2] = textureLoad(weight, texel(2u * quads + quad));
    weights[3] = textureLoad(weight, texel(3u * quads + quad)); weights[4] = textureLoad(weight, texel(4u * quads + quad)); weights[5] = textureLoad(weight, texel(5u * quads + quad));
    weights[6] = textureLoad(weight, texel(6u * quads + quad)); weights[7] = textureLoad(weight, texel(7u * quads + quad)); weights[8] = textureLoad(weight, texel(8u * quads + quad));
    let start = bias[quad];
    for (var eight = 0u; eight < 64u; eight += 8u) {
        let window = first + eight;
        load_window(window + lane % 8u);
        store(window, 0u, quad, start);
        store(window + 1u, 1u, quad, start);
        store(window + 2u, 2u, quad, start);
        store(window + 3u, 3u, quad, start);
        store(window + 4u, 4u, quad, start);
        store(window + 5u, 5u, quad, start);
        store(window + 6u, 6u, quad, start);
        store(window + 7u, 7u, quad, start);
    }
}
