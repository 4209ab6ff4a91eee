// Convolution with stride 1 and bias, ReLU and max-pooling over windows of 2x2; a workgroup for 8 windows, in which each
// invocation has four neighbouring channels: 8 tiles of 4 channels by the 4 positions of a window, in registers.
//
//   map[n,y,x,o]      = bias[o] + sum over ky, kx, c of input[n, y + ky - before, x + kx - before, c] * weight[ky,kx,c,o]
//   output[n,y,x,o]   = max(0, max over dy, dx of map[n, y * 2 + dy, x * 2 + dx, o])
//   argmax[n,y,x,o/4] = for each of four channels a byte: dy * 2 + dx of the first of the largest, 255 where it is not above 0
//
// with zeros outside the input. All invocations need the same inputs at a time: each of the first 8 lanes loads those of one
// window and broadcasts them to the others. A row of the kernel, all channels of each of its positions, is one run of floats
// in input and weight alike; four of them at a time, a tile takes one product of 4x4 matrices. Needs subgroups of 8 lanes or
// more. Takes any number of channels.
// CPU twin: ConvReluPoolForward in src/ops/conv_relu_pool.rs.

override batch: u32;
override in_channels: u32;
override in_height: u32;
override in_width: u32;
override out_channels: u32;
override kernel: u32;
override padding: u32;
override pool: u32;  // 2
override workgroup_size: u32;
override texels_per_row: u32;

override before: u32 = padding / 2u;
override pooled_height: u32 = (in_height + padding - kernel + 1u) / 2u;
override pooled_width: u32 = (in_width + padding - kernel + 1u) / 2u;
override windows: u32 = batch * pooled_height * pooled_width;
override quads: u32 = (out_channels + 3u) / 4u;
override run: u32 = kernel * in_channels;  // the floats of a row of the kernel

@group(0) @binding(0) var input: texture_storage_2d<rgba32float, read>;   // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var weight: texture_storage_2d<rgba32float, read>;  // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<f32>;                // [out_channels]
@group(0) @binding(3) var<storage, read_write> output: array<f32>;        // [batch, pooled_height, pooled_width, out_channels]
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

/// Four neighbouring floats of `weight` from the `i`-th on; they may lie before the texture.
fn weight_four_at(i: u32) -> vec4<f32> {
    let first = u32(i32(i) >> 2u);
    return four_of(textureLoad(weight, texel(first)), textureLoad(weight, texel(first + 1u)), i);
}

/// Four floats of a run, from `k` on; 0 outside the map and behind the run. What is above and to the left of the map wraps
/// round to huge numbers. A read beyond a texture gives some number in WGSL, which here and below is not used.
fn input_at(n: u32, y: u32, x: u32, k: u32) -> vec4<f32> {
    let column = vec4(x * in_channels + k) + vec4(0u, 1u, 2u, 3u);
    let inside = vec4(y < in_height) & (column < vec4(in_width * in_channels)) & (vec4(k) + vec4(0u, 1u, 2u, 3u) < vec4(run));
    let i = (n * in_height + y) * in_width * in_channels + column.x;
    return select(vec4(0.0), input_four_at(i), inside);
}

/// The weights of four channels for one float of a run.
fn weight_at(row: u32, quad: u32) -> vec4<f32> {
    let i = min(row, kernel * run - 1u) * out_channels + quad * 4u;
    return weight_four_at(i);
}

fn store(window: u32, quad: u32, map: mat4x4<f32>) {
    if window >= windows || quad >= quads { return; }
    // A later one takes over only where it is larger.
    let first_row = max(map[0], map[1]);
    let second_row = max(map[2], map[3]);
    let largest = max(first_row, second_row);
    let code_of_largest = select(select(vec4(0u), vec4(1u), map[1] > map[0]), select(vec4(2u), vec4(3u), map[3] > map[2]), second_row > first_row);
    let code = select(vec4(255u), code_of_largest, largest > vec4(0.0));
    let inside = vec4(quad * 4u) + vec4(0u, 1u, 2u, 3u) < vec4(out_channels);
    let i = window * out_channels + quad * 4u;
    output[i] = max(largest.x, 0.0);
    if inside.y { output[i + 1u] = max(largest.y, 0.0); }
    if inside.z { output[i + 2u] = max(largest.z, 0.0); }
    if inside.w { output[i + 3u] = max(largest.w, 0.0); }
    argmax[window * quads + quad] = pack4xU8(select(vec4(255u), code, inside));
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
    let first = (group.x + group.y * groups.x) * 8u;
    let window = first + lane % 8u;
    let n = window / (pooled_height * pooled_width);
    let y = window / pooled_width % pooled_height * 2u - before;
    let x = window % pooled_width * 2u - before;

    let o = quad * 4u;
    let four = vec4(bias[o], bias[o + 1u], bias[o + 2u], bias[o + 3u]);
    let biases = mat4x4(four, four, four, four);
    var s0 = biases;
    var s1 = biases;
    var s2 = biases;
    var s3 = biases;
    var s4 = biases;
    var s5 = biases;
    var s6 = biases;
    var s7 = biases;
    for (var k = 0u; k < run; k += 4u) {
        // The second row of a window at one row of the kernel is the first at the next.
        var p0 = input_at(n, y, x, k);
        var p1 = input_at(n, y, x + 1u, k);
        for (var ky = 0u; ky < kernel; ky++) {
            let p2 = input_at(n, y + ky + 1u, x, k);
            let p3 = input_at(n, y + ky + 1u, x + 1u, k);
            let row = ky * run + k;
            let weights = mat4x4(weight_at(row, quad), weight_at(row + 1u, quad), weight_at(row + 2u, quad), weight_at(row + 3u, quad));
            s0 += weights * mat4x4(subgroupBroadcast(p0, 0u), subgroupBroadcast(p1, 0u), subgroupBroadcast(p2, 0u), subgroupBroadcast(p3, 0u));
            s1 += weights * mat4x4(subgroupBroadcast(p0, 1u), subgroupBroadcast(p1, 1u), subgroupBroadcast(p2, 1u), subgroupBroadcast(p3, 1u));
            s2 += weights * mat4x4(subgroupBroadcast(p0, 2u), subgroupBroadcast(p1, 2u), subgroupBroadcast(p2, 2u), subgroupBroadcast(p3, 2u));
            s3 += weights * mat4x4(subgroupBroadcast(p0, 3u), subgroupBroadcast(p1, 3u), subgroupBroadcast(p2, 3u), subgroupBroadcast(p3, 3u));
            s4 += weights * mat4x4(subgroupBroadcast(p0, 4u), subgroupBroadcast(p1, 4u), subgroupBroadcast(p2, 4u), subgroupBroadcast(p3, 4u));
            s5 += weights * mat4x4(subgroupBroadcast(p0, 5u), subgroupBroadcast(p1, 5u), subgroupBroadcast(p2, 5u), subgroupBroadcast(p3, 5u));
            s6 += weights * mat4x4(subgroupBroadcast(p0, 6u), subgroupBroadcast(p1, 6u), subgroupBroadcast(p2, 6u), subgroupBroadcast(p3, 6u));
            s7 += weights * mat4x4(subgroupBroadcast(p0, 7u), subgroupBroadcast(p1, 7u), subgroupBroadcast(p2, 7u), subgroupBroadcast(p3, 7u));
            p0 = p2;
            p1 = p3;
        }
    }
    store(first, quad, s0);
    store(first + 1u, quad, s1);
    store(first + 2u, quad, s2);
    store(first + 3u, quad, s3);
    store(first + 4u, quad, s4);
    store(first + 5u, quad, s5);
    store(first + 6u, quad, s6);
    store(first + 7u, quad, s7);
}
