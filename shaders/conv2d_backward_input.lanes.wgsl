// Gradient of a convolution with respect to its input, a register tile of 4 positions by 16 input channels for each
// invocation.
//
//   input_grad[n,c,y,x] = sum over o, ky, kx of output_grad[n, o, y + before - ky, x + before - kx] * weight[o,c,ky,kx]
//
// where that position lies inside the output. All invocations of a subgroup share the weights. The kernel's row is walked
// backwards, so that the window of 4 neighbouring gradients slides forwards. Needs subgroups of 8 lanes or more.
//
// Parts: linear, conv2d, outer, channel_products, put_tile.
// CPU twin: Conv2dBackwardInput in src/ops/conv2d.rs.

override tiles_per_row: u32 = (in_width + 3u) / 4u;

@group(0) @binding(0) var<storage, read> output_grad: array<f32>;       // [batch, out_channels, out_height, out_width]
@group(0) @binding(1) var<storage, read> weight: array<f32>;            // [out_channels, in_channels, kernel, kernel]
@group(0) @binding(2) var<storage, read_write> input_grad: array<f32>;  // [batch, in_channels, in_height, in_width]

/// Sample and row of the invocation's positions.
var<private> n: u32;
var<private> y: u32;

/// The gradient at a position of a plane, 0 outside; those above and to the left wrap round to huge numbers. A
/// read beyond a buffer gives some number in WGSL, which here and below is not used.
fn grad_at(plane: u32, y: u32, x: u32) -> f32 {
    let inside = y < out_height && x < out_width;
    return select(0.0, output_grad[(plane * out_height + y) * out_width + x], inside);
}

fn put(c: u32, x: u32, sums: vec4<f32>) {
    if n >= batch || c >= in_channels { return; }
    let row = ((n * in_channels + c) * in_height + y) * in_width;
    for (var j = 0u; j < 4u; j++) {
        if x + j < in_width { input_grad[row + x + j] = sums[j]; }
    }
}

@compute @workgroup_size(workgroup_size)
fn conv2d_backward_input(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last sample help to load weights, and store nothing.
    let i = linear_index(id, groups);
    let x = i % tiles_per_row * 4u;
    y = i / tiles_per_row % in_height;
    n = i / (tiles_per_row * in_height);
    let c = id.z * 16u;

    // The sums of channels beyond the last one are not stored.
    let taps = kernel * kernel;
    let filter_low = (c + lane % 8u) * taps;
    let filter_high = filter_low + 8u * taps;
    for (var o = 0u; o < out_channels; o++) {
        let plane = n * out_channels + o;
        for (var ky = 0u; ky < kernel; ky++) {
            let out_y = y + before - ky;
            let out_x = x + before - (kernel - 1u);
            var before_x = vec3(
                grad_at(plane, out_y, out_x), grad_at(plane, out_y, out_x + 1u), grad_at(plane, out_y, out_x + 2u),
            );
            for (var step = 0u; step < kernel; step++) {
                let window = vec4(before_x, grad_at(plane, out_y, out_x + 3u + step));
                before_x = window.yzw;
                let tap = o * in_channels * taps + ky * kernel + (kernel - 1u - step);
                add_products(window, weight[filter_low + tap], weight[filter_high + tap]);
            }
        }
    }
    put_tiles(c, x);
}
