// Gradient of a convolution with respect to its input.
//
//   input_grad[n,c,y,x] = sum over o, ky, kx of output_grad[n, o, y + before - ky, x + before - kx] * weight[o,c,ky,kx]
//
// where that position lies inside the output. One invocation computes one element of the input's gradient, in memory
// order.
// Parts: linear, conv2d.
// CPU twin: Conv2dBackwardInput in src/ops/conv2d.rs.

@group(0) @binding(0) var<storage, read> output_grad: array<f32>;       // [batch, out_channels, out_height, out_width]
@group(0) @binding(1) var<storage, read> weight: array<f32>;            // [out_channels, in_channels, kernel, kernel]
@group(0) @binding(2) var<storage, read_write> input_grad: array<f32>;  // [batch, in_channels, in_height, in_width]

@compute @workgroup_size(workgroup_size)
fn conv2d_backward_input(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= batch * in_channels * in_height * in_width { return; }
    let x = i % in_width;
    let y = i / in_width % in_height;
    let c = i / (in_width * in_height) % in_channels;
    let n = i / (in_width * in_height * in_channels);

    var sum = 0.0;
    for (var o = 0u; o < out_channels; o++) {
        let plane = (n * out_channels + o) * out_height;
        let filter_start = (o * in_channels + c) * kernel;
        for (var ky = 0u; ky < kernel; ky++) {
            // Above the output the subtraction wraps round to a huge number, so one comparison finds both edges.
            let out_y = y + before - ky;
            if out_y >= out_height { continue; }
            for (var kx = 0u; kx < kernel; kx++) {
                let out_x = x + before - kx;
                if out_x < out_width {
                    sum += output_grad[(plane + out_y) * out_width + out_x] * weight[(filter_start + ky) * kernel + kx];
                }
            }
        }
    }
    input_grad[i] = sum;
}
