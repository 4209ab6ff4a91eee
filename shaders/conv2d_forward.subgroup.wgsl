// Convolution with stride 1 and bias, a register tile of 4 positions by 16 output channels for each invocation.
//
//   output[n,o,y,x] = bias[o] + sum over c, ky, kx of input[n, c, y + ky - before, x + kx - before] * weight[o,c,ky,kx]
//
// with zeros outside the input. All invocations of a subgroup need the same 16 weights at a time: each of the first 8
// lanes loads two of them and broadcasts them to the others. A window of 4 neighbouring inputs slides along a row as kx
// grows, so each step of the innermost loop takes 3 loads for 64 multiply-adds. Needs subgroups of 8 lanes or more.
// CPU twin: Conv2dForward in src/ops/conv2d.rs.

override batch: u32;
override in_channels: u32;
override in_height: u32;
override in_width: u32;
override out_channels: u32;
override kernel: u32;
override padding: u32;
override workgroup_size: u32;

override out_height: u32 = in_height + padding - kernel + 1u;
override out_width: u32 = in_width + padding - kernel + 1u;
override before: u32 = padding / 2u;
override tiles_per_row: u32 = (out_width + 3u) / 4u;

@group(0) @binding(0) var<storage, read> input: array<f32>;          // [batch, in_channels, in_height, in_width]
@group(0) @binding(1) var<storage, read> weight: array<f32>;         // [out_channels, in_channels, kernel, kernel]
@group(0) @binding(2) var<storage, read> bias: array<f32>;           // [out_channels]
@group(0) @binding(3) var<storage, read_write> output: array<f32>;   // [batch, out_channels, out_height, out_width]

/// The input at a position of a plane, 0 outside; those above and to the left wrap round to huge numbers. A
/// read beyond a buffer gives some number in WGSL, which here and below is not used.
fn input_at(plane: u32, y: u32, x: u32) -> f32 {
    let inside = y < in_height && x < in_width;
    return select(0.0, input[(plane * in_height + y) * in_width + x], inside);
}

fn store(n: u32, o: u32, y: u32, x: u32, sum: vec4<f32>) {
    if n >= batch || o >= out_channels { return; }
    let row = ((n * out_channels + o) * out_height + y) * out_width;
    let values = sum + bias[o];
    for (var i = 0u; i < min(4u, out_width - x); i++) {
        output[row + x + i] = values[i];
    }
}

@compute @workgroup_size(workgroup_size)
fn conv2d_forward(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last sample help to load weights, and store nothing.
    let i = id.x + id.y * groups.x * workgroup_size;
    let x = i % tiles_per_row * 4u;
    let y = i / tiles_per_row % out_height;
    let n = i / (tiles_per_row * out_height);
    let o = id.z * 16u;

    // The sums of channels beyond the last one are not stored.
    let filter_size = in_channels * kernel * kernel;
    let filter_low = (o + lane % 8u) * filter_size;
    let filter_high = (o + 8u + lane % 8u) * filter_size;

    var s0 = vec4(0.0); var s1 = vec4(0.0); var s2 = vec4(0.0); var s3 = vec4(0.0);
    var s4 = vec4(0.0); var s5 = vec4(0.0); var s6 = vec4(0.0); var s7 = vec4(0.0);
    var s8 = vec4(0.0); var s9 = vec4(0.0); var s10 = vec4(0.0); var s11 = vec4(0.0);
    var s12 = vec4(0.0); var s13 = vec4(0.0); var s14 = vec4(0.0); var s15 = vec4(0.0);
    for (var c = 0u; c < in_channels; c++) {
        let plane = n * in_channels + c;
        for (var ky = 0u; ky < kernel; ky++) {
            let in_y = y + ky - before;
            let in_x = x - before;
            var before_x = vec3(input_at(plane, in_y, in_x), input_at(plane, in_y, in_x + 1u), input_at(plane, in_y, in_x + 2u));
            for (var kx = 0u; kx < kernel; kx++) {
                let window = vec4(before_x, input_at(plane, in_y, in_x + 3u + kx));
                before_x = window.yzw;
                let tap = (c * kernel + ky) * kernel + kx;
                let low = weight[filter_low + tap];
                let high = weight[filter_high + tap];
                s0 += window * subgroupBroadcast(low, 0u);
                s1 += window * subgroupBroadcast(low, 1u);
                s2 += window * subgroupBroadcast(low, 2u);
                s3 += window * subgroupBroadcast(low, 3u);
                s4 += window * subgroupBroadcast(low, 4u);
                s5 += window * subgroupBroadcast(low, 5u);
                s6 += window * subgroupBroadcast(low, 6u);
                s7 += window * subgroupBroadcast(low, 7u);
                s8 += window * subgroupBroadcast(high, 0u);
                s9 += window * subgroupBroadcast(high, 1u);
                s10 += window * subgroupBroadcast(high, 2u);
                s11 += window * subgroupBroadcast(high, 3u);
                s12 += window * subgroupBroadcast(high, 4u);
                s13 += window * subgroupBroadcast(high, 5u);
                s14 += window * subgroupBroadcast(high, 6u);
                s15 += window * subgroupBroadcast(high, 7u);
            }
        }
    }
    store(n, o, y, x, s0);
    store(n, o + 1u, y, x, s1);
    store(n, o + 2u, y, x, s2);
    store(n, o + 3u, y, x, s3);
    store(n, o + 4u, y, x, s4);
    store(n, o + 5u, y, x, s5);
    store(n, o + 6u, y, x, s6);
    store(n, o + 7u, y, x, s7);
    store(n, o + 8u, y, x, s8);
    store(n, o + 9u, y, x, s9);
    store(n, o + 10u, y, x, s10);
    store(n, o + 11u, y, x, s11);
    store(n, o + 12u, y, x, s12);
    store(n, o + 13u, y, x, s13);
    store(n, o + 14u, y, x, s14);
    store(n, o + 15u, y, x, s15);
}
