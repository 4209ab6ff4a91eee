// Convolution with stride 1 and bias, a register tile of 4 positions by 16 output channels for each invocation.
//
//   output[n,o,y,x] = bias[o] + sum over c, ky, kx of input[n, c, y + ky - before, x + kx - before] * weight[o,c,ky,kx]
//
// with zeros outside the input. All invocations of a subgroup share the weights. A window of 4 neighbouring inputs slides along a
// row as kx grows, so each step of the innermost loop takes 3 loads for 64 multiply-adds. Needs subgroups of 8 lanes or more.
//
// Parts: linear, conv2d, conv2d_input, outer, channel_products, put_tile.
// CPU twin: Conv2dForward in src/ops/conv2d.rs.

override tiles_per_row: u32 = (out_width + 3u) / 4u;

@group(0) @binding(1) var<storage, read> weight: array<f32>;        // [out_channels, in_channels, kernel, kernel]
@group(0) @binding(2) var<storage, read> bias: array<f32>;          // [out_channels]
@group(0) @binding(3) var<storage, read_write> output: array<f32>;  // [batch, out_channels, out_height, out_width]

/// Sample and row of the invocation's positions.
var<private> n: u32;
var<private> y: u32;

fn put(o: u32, x: u32, sums: vec4<f32>) {
    if n >= batch || o >= out_channels { return; }
    let row = ((n * out_channels + o) * out_height + y) * out_width;
    let values = sums + bias[o];
    for (var j = 0u; j < 4u; j++) {
        if x + j < out_width { output[row + x + j] = values[j]; }
    }
}

@compute @workgroup_size(workgroup_size)
fn conv2d_forward(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last sample help to load weights, and store nothing.
    let i = linear_index(id, groups);
    let x = i % tiles_per_row * 4u;
    y = i / tiles_per_row % out_height;
    n = i / (tiles_per_row * out_height);
    let o = id.z * 16u;

    // The sums of channels beyond the last one are not stored.
    let filter_size = in_channels * kernel * kernel;
    let filter_low = (o + lane % 8u) * filter_size;
    let filter_high = filter_low + 8u * filter_size;
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
                add_products(window, weight[filter_low + tap], weight[filter_high + tap]);
            }
        }
    }
    put_tiles(o, x);
}
