// Gradient of a convolution with respect to its input, before the rectifier that the input came out of, if any; one invocation
// for each of its words.
//
//   input_grad[n,y,x,c] = grad_before(
//       sum over ky, kx, o of output_grad[n, (y + before - ky) / stride, (x + before - kx) / stride, o] * weight[ky,kx,c,o],
//       input[n,y,x,c])
//
// where that position is whole and lies inside the output.
//
// Its variants:
//
//   lanes      8 lanes load weights for each other: fastest on software adapters with subgroups
//   lanes_any  the same for a number of input channels that is no multiple of 4
//   blocks, blocks_any  a product of matrices by blocks in workgroup memory, for GPUs, and for software without subgroups
//
// Parts: stride, conv2d, rectifier_grad, linear, floats_f16 or floats_f32.
// CPU twin: Conv2dBackwardInput in src/ops/conv2d/gradients.rs.

@group(0) @binding(0) var<storage, read> output_grad: array<Word>;       // [batch, out_height, out_width, out_channels]
@group(0) @binding(1) var<storage, read> weight: array<Word>;            // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> input: array<Word>;             // [batch, in_height, in_width, in_channels]
@group(0) @binding(3) var<storage, read_write> input_grad: array<Word>;  // [batch, in_height, in_width, in_channels]

fn input_grad_at(n: u32, y: u32, x: u32, c: u32) -> f32 {
    var sum = 0.0;
    for (var ky = 0u; ky < kernel; ky++) {
        // Above the output the subtraction wraps round to a huge number, so one comparison finds both edges.
        let up = y + before - ky;
        if up >= out_height * stride || up % stride != 0u { continue; }
        for (var kx = 0u; kx < kernel; kx++) {
            let left = x + before - kx;
            if left >= out_width * stride || left % stride != 0u { continue; }
            let met = ((n * out_height + up / stride) * out_width + left / stride) * out_channels;
            let row = ((ky * kernel + kx) * in_channels + c) * out_channels;
            for (var o = 0u; o < out_channels; o++) {
                let i = met + o;
                let k = row + o;
                sum += float_of(output_grad[i / FLOATS_PER_WORD], i) * float_of(weight[k / FLOATS_PER_WORD], k);
            }
        }
    }
    return sum;
}

@compute @workgroup_size(workgroup_size)
fn conv2d_backward_input(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let word = linear_index(id, groups);
    if word >= batch * in_height * in_width * in_channels / FLOATS_PER_WORD { return; }
    var grads = vec4<f32>();
    var values = vec4<f32>();
    for (var j = 0u; j < FLOATS_PER_WORD; j++) {
        let i = word * FLOATS_PER_WORD + j;
        let position = i / in_channels;
        let n = position / (in_width * in_height);
        grads[j] = input_grad_at(n, position / in_width % in_height, position % in_width, i % in_channels);
        if is_rectified { values[j] = float_of(input[word], j); }
    }
    input_grad[word] = word_of(grad_before(grads, values), 0u);
}
