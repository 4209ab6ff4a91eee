// Convolution with bias (cross-correlation, as deep-learning frameworks define it), and a rectifier; one invocation for each of
// its words.
//
//   output[n,y,x,o] = rectified(bias[o] +
//       sum over ky, kx, c of input[n, y * stride + ky - before, x * stride + kx - before, c] * weight[ky,kx,c,o])
//
// with zeros outside the input.
//
// Its variants:
//
//   lanes      8 lanes load weights for each other: fastest on software adapters with subgroups
//   lanes_any  the same for a number of output channels that is no multiple of 4
//   blocks, blocks_any  a product of matrices by blocks in workgroup memory, for GPUs, and for software without subgroups
//
// Parts: stride, conv2d, rectifier, linear, floats_f16 or floats_f32.
// CPU twin: Conv2dForward in src/ops/conv2d.rs.

@group(0) @binding(0) var<storage, read> input: array<Word>;         // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> weight: array<Word>;        // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<f32>;           // [out_channels]
@group(0) @binding(3) var<storage, read_write> output: array<Word>;  // [batch, out_height, out_width, out_channels]

fn output_at(n: u32, y: u32, x: u32, o: u32) -> f32 {
    var sum = bias[o];
    for (var ky = 0u; ky < kernel; ky++) {
        // Above the input the subtraction wraps round to a huge number, so one comparison finds both edges.
        let in_y = y * stride + ky - before;
        if in_y >= in_height { continue; }
        for (var kx = 0u; kx < kernel; kx++) {
            let in_x = x * stride + kx - before;
            if in_x >= in_width { continue; }
            let seen = ((n * in_height + in_y) * in_width + in_x) * in_channels;
            let row = (ky * kernel + kx) * in_channels;
            for (var c = 0u; c < in_channels; c++) {
                let i = seen + c;
                let k = (row + c) * out_channels + o;
                sum += float_of(input[i / FLOATS_PER_WORD], i) * float_of(weight[k / FLOATS_PER_WORD], k);
            }
        }
    }
    return sum;
}

@compute @workgroup_size(workgroup_size)
fn conv2d_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let word = linear_index(id, groups);
    if word >= batch * out_height * out_width * out_channels / FLOATS_PER_WORD { return; }
    var values = vec4<f32>();
    for (var j = 0u; j < FLOATS_PER_WORD; j++) {
        let i = word * FLOATS_PER_WORD + j;
        let position = i / out_channels;
        let n = position / (out_width * out_height);
        values[j] = output_at(n, position / out_width % out_height, position % out_width, i % out_channels);
    }
    output[word] = word_of(rectified(values), 0u);
}
