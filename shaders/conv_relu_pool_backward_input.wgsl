// Gradient of convolution, ReLU and max-pooling with respect to the input; one invocation for each of its words.
//
//   input_grad[n,y,x,c] = sum over ky, kx, o of map_grad[n, y + before - ky, x + before - kx, o] * weight[ky,kx,c,o]
//
// where map_grad is output_grad at the places of the windows' maxima, as argmax holds them, and 0 elsewhere.
//
// Its variants are for windows of 2x2:
//
//   lanes            8 lanes load for each other: fastest on software adapters with subgroups for most sizes
//   lanes_any        the same for a number of input channels that is no multiple of 4
//   lanes_winograd   fewer than half of the products, for kernels of 3x3 and channels in fours: fastest there on software
//                    adapters with subgroups
//   blocks           a product of matrices by blocks in workgroup memory, for GPUs, and for software without subgroups
//   matrix8, matrix16  a product of matrices in half precision on matrix units
//
// Parts: conv2d, runs, conv_relu_pool, linear, floats_f16 or floats_f32.
// CPU twin: ConvReluPoolBackwardInput in src/ops/conv_relu_pool/gradients.rs.

@group(0) @binding(0) var<storage, read> output_grad: array<Word>;       // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(1) var<storage, read> argmax: array<u32>;             // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(2) var<storage, read> weight: array<Word>;            // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(3) var<storage, read_write> input_grad: array<Word>;  // [batch, in_height, in_width, in_channels]

fn input_grad_at(n: u32, y: u32, x: u32, c: u32) -> f32 {
    var sum = 0.0;
    for (var ky = 0u; ky < kernel; ky++) {
        for (var kx = 0u; kx < kernel; kx++) {
            // Positions above and to the left wrap round to huge numbers.
            let map_y = y + before - ky;
            let map_x = x + before - kx;
            if map_y >= pooled_height * pool || map_x >= pooled_width * pool { continue; }
            let window = (n * pooled_height + map_y / pool) * pooled_width + map_x / pool;
            let place = map_y % pool * pool + map_x % pool;
            let row = (ky * kernel + kx) * in_channels + c;
            for (var o = 0u; o < out_channels; o++) {
                let code = (argmax[window * quads + o / 4u] >> (8u * (o % 4u))) & 255u;
                if code == place {
                    let i = window * out_channels + o;
                    let k = row * out_channels + o;
                    sum += float_of(output_grad[i / FLOATS_PER_WORD], i) * float_of(weight[k / FLOATS_PER_WORD], k);
                }
            }
        }
    }
    return sum;
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_backward_input(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = linear_index(id, groups) * FLOATS_PER_WORD;
    if i >= batch * in_height * in_width * in_channels { return; }
    let c = i % in_channels;
    let x = i / in_channels % in_width;
    let y = i / (in_channels * in_width) % in_height;
    let n = i / (in_channels * in_width * in_height);
    var grads = vec4(0.0);
    for (var part = 0u; part < FLOATS_PER_WORD; part++) { grads[part] = input_grad_at(n, y, x, c + part); }
    input_grad[i / FLOATS_PER_WORD] = word_of(grads, 0u);
}
