// Gradient of a convolution with respect to its input, a register tile of 4 positions by 16 input channels for each
// invocation.
//
//   input_grad[n,c,y,x] = sum over o, ky, kx of output_grad[n, o, y + before - ky, x + before - kx] * weight[o,c,ky,kx]
//
// where that position lies inside the output. All invocations of a subgroup need the same 16 weights at a time: each of
// the first 8 lanes loads two of them and broadcasts them to the others. The kernel's row is walked backwards, so that
// the window of 4 neighbouring gradients slides forwards. Needs subgroups of 8 lanes or more.
// CPU twin: Conv2dBackwardInput in src/ops/conv2d.rs.

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
override tiles_per_row: u32 = (in_width + 3u) / 4u;

@group(0) @binding(0) var<storage, read> output_grad: array<f32>;       // [batch, out_channels, out_height, out_width]
@group(0) @binding(1) var<storage, read> weight: array<f32>;            // [out_channels, in_channels, kernel, kernel]
@group(0) @binding(2) var<storage, read_write> input_grad: array<f32>;  // [batch, in_channels, in_height, in_width]

/// The gradient at a position of a plane, 0 outside; those above and to the left wrap round to huge numbers. A
/// read beyond a buffer gives some number in WGSL, which here and below is not used.
fn grad_at(plane: u32, y: u32, x: u32) -> f32 {
    let inside = y < out_height && x < out_width;
    return select(0.0, output_grad[(plane * out_height + y) * out_width + x], inside);
}

fn store(n: u32, c: u32, y: u32, x: u32, sum: vec4<f32>) {
    if n >= batch || c >= in_channels { return; }
    let row = ((n * in_channels + c) * in_height + y) * in_width;
    for (var i = 0u; i < min(4u, in_width - x); i++) {
        input_grad[row + x + i] = sum[i];
    }
}

@compute @workgroup_size(workgroup_size)
fn conv2d_backward_input(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last sample help to load weights, and store nothing.
    let i = id.x + id.y * groups.x * workgroup_size;
    let x = i % tiles_per_row * 4u;
    let y = i / tiles_per_row % in_height;
    let n = i / (tiles_per_row * in_height);
    let c = id.z * 16u;

    // The sums of channels beyond the last one are not stored.
    let taps = kernel * kernel;
    let filter_low = (c + lane % 8u) * taps;
    let filter_high = (c + 8u + lane % 8u) * taps;

    var s0 = vec4(0.0); var s1 = vec4(0.0); var s2 = vec4(0.0); var s3 = vec4(0.0);
    var s4 = vec4(0.0); var s5 = vec4(0.0); var s6 = vec4(0.0); var s7 = vec4(0.0);
    var s8 = vec4(0.0); var s9 = vec4(0.0); var s10 = vec4(0.0); var s11 = vec4(0.0);
    var s12 = vec4(0.0); var s13 = vec4(0.0); var s14 = vec4(0.0); var s15 = vec4(0.0);
    for (var o = 0u; o < out_channels; o++) {
        let plane = n * out_channels + o;
        for (var ky = 0u; ky < kernel; ky++) {
            let out_y = y + before - ky;
            let out_x = x + before - (kernel - 1u);
            var before_x = vec3(grad_at(plane, out_y, out_x), grad_at(plane, out_y, out_x + 1u), grad_at(plane, out_y, out_x + 2u));
            for (var step = 0u; step < kernel; step++) {
                let window = vec4(before_x, grad_at(plane, out_y, out_x + 3u + step));
                before_x = window.yzw;
                let tap = o * in_channels * taps + ky * kernel + (kernel - 1u - step);
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
    store(n, c, y, x, s0);
    store(n, c + 1u, y, x, s1);
    store(n, c + 2u, y, x, s2);
    store(n, c + 3u, y, x, s3);
    store(n, c + 4u, y, x, s4);
    store(n, c + 5u, y, x, s5);
    store(n, c + 6u, y, x, s6);
    store(n, c + 7u, y, x, s7);
    store(n, c + 8u, y, x, s8);
    store(n, c + 9u, y, x, s9);
    store(n, c + 10u, y, x, s10);
    store(n, c + 11u, y, x, s11);
    store(n, c + 12u, y, x, s12);
    store(n, c + 13u, y, x, s13);
    store(n, c + 14u, y, x, s14);
    store(n, c + 15u, y, x, s15);
}
