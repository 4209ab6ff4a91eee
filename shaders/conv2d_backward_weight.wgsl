// Gradient of a convolution with respect to its weights, one partial sum for each chunk of samples.
//
//   weight_grad_partial[chunk,o,c,ky,kx] =
//       sum over the chunk's n and all y, x of output_grad[n,o,y,x] * input[n, c, y + ky - before, x + kx - before]
//
// with zeros outside the input; `chunk_sum` adds the chunks in order. One invocation computes one partial sum, in
// memory order.
// Parts: linear, conv2d, chunks.
// CPU twin: Conv2dBackwardWeight in src/ops/conv2d.rs.

@group(0) @binding(0) var<storage, read> input: array<f32>;                      // [batch, in_channels, in_height, in_width]
@group(0) @binding(1) var<storage, read> output_grad: array<f32>;                // [batch, out_channels, out_height, out_width]
@group(0) @binding(2) var<storage, read_write> weight_grad_partial: array<f32>;  // [chunks, o, c, ky, kx]

@compute @workgroup_size(workgroup_size)
fn conv2d_backward_weight(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= chunks * out_channels * in_channels * kernel * kernel { return; }
    let kx = i % kernel;
    let ky = i / kernel % kernel;
    let c = i / (kernel * kernel) % in_channels;
    let o = i / (kernel * kernel * in_channels) % out_channels;
    let chunk = i / (kernel * kernel * in_channels * out_channels);

    var sum = 0.0;
    for (var n = chunk * samples_per_chunk; n < end_of_chunk(chunk); n++) {
        for (var y = 0u; y < out_height; y++) {
            // Above the input the subtraction wraps round to a huge number, so one comparison finds both edges.
            let in_y = y + ky - before;
            if in_y >= in_height { continue; }
            let in_row = ((n * in_channels + c) * in_height + in_y) * in_width;
            let out_row = ((n * out_channels + o) * out_height + y) * out_width;
            for (var x = 0u; x < out_width; x++) {
                let in_x = x + kx - before;
                if in_x < in_width {
                    sum += output_grad[out_row + x] * input[in_row + in_x];
                }
            }
        }
    }
    weight_grad_partial[i] = sum;
}
