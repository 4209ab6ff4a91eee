// Convolution with stride 1 and bias (cross-correlation, as deep-learning frameworks define it).
//
//   output[n,o,y,x] = bias[o] + sum over c, ky, kx of input[n, c, y + ky - before, x + kx - before] * weight[o,c,ky,kx]
//
// with zeros outside the input. One invocation computes one element of the output, in memory order.
//
// Parts: linear, conv2d.
// CPU twin: Conv2dForward in src/ops/conv2d.rs.

@group(0) @binding(0) var<storage, read> input: array<f32>;         // [batch, in_channels, in_height, in_width]
@group(0) @binding(1) var<storage, read> weight: array<f32>;        // [out_channels, in_channels, kernel, kernel]
@group(0) @binding(2) var<storage, read> bias: array<f32>;          // [out_channels]
@group(0) @binding(3) var<storage, read_write> output: array<f32>;  // [batch, out_channels, out_height, out_width]

@compute @workgroup_size(workgroup_size)
fn conv2d_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= batch * out_channels * out_height * out_width { return; }
    let x = i % out_width;
    let y = i / out_width % out_height;
    let o = i / (out_width * out_height) % out_channels;
    let n = i / (out_width * out_height * out_channels);

    var sum = bias[o];
    for (var c = 0u; c < in_channels; c++) {
        let plane = (n * in_channels + c) * in_height;
        let filter_start = (o * in_channels + c) * kernel;
        for (var ky = 0u; ky < kernel; ky++) {
            // Above the input the subtraction wraps round to a huge number, so one comparison finds both edges.
            let in_y = y + ky - before;
            if in_y >= in_height { continue; }
            for (var kx = 0u; kx < kernel; kx++) {
                let in_x = x + kx - before;
                if in_x < in_width {
                    sum += input[(plane + in_y) * in_width + in_x] * weight[(filter_start + ky) * kernel + kx];
                }
            }
        }
    }
    output[i] = sum;
}
