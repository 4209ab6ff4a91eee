// Gradient of convolution, ReLU and max-pooling in half precision with respect to the input; one invocation for two
// neighbouring channels, which share a word, the first in its lower bits.
//
//   input_grad[n,y,x,c] = sum over ky, kx, o of map_grad[n, y + before - ky, x + before - kx, o] * weight[ky,kx,c,o]
//
// where map_grad is output_grad at the places of the windows' maxima, as argmax holds them, and 0 elsewhere. Both gradients are
// those of the batch's summed loss, times the loss scale. Sums are added up in 32 bits.
// CPU twin: ConvReluPoolBackwardInput in src/ops/conv_relu_pool/half.rs.

override batch: u32;
override in_channels: u32;  // even
override in_height: u32;
override in_width: u32;
override out_channels: u32;
override kernel: u32;
override padding: u32;
override pool: u32;
override workgroup_size: u32;

override before: u32 = padding / 2u;
override pooled_height: u32 = (in_height + padding - kernel + 1u) / pool;
override pooled_width: u32 = (in_width + padding - kernel + 1u) / pool;
override quads: u32 = (out_channels + 3u) / 4u;

@group(0) @binding(0) var<storage, read> output_grad: array<u32>;       // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(1) var<storage, read> argmax: array<u32>;            // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(2) var<storage, read> weight: array<u32>;            // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(3) var<storage, read_write> input_grad: array<u32>;  // [batch, in_height, in_width, in_channels]

/// An element of weight, widened.
fn weight_at(i: u32) -> f32 {
    return unpack2x16float(weight[i / 2u])[i % 2u];
}

/// An element of output_grad, widened.
fn output_grad_at(i: u32) -> f32 {
    return unpack2x16float(output_grad[i / 2u])[i % 2u];
}

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
            let tap = ((ky * kernel + kx) * in_channels + c) * out_channels;
            for (var o = 0u; o < out_channels; o++) {
                let code = (argmax[window * quads + o / 4u] >> (8u * (o % 4u))) & 255u;
                if code == place {
                    sum += output_grad_at(window * out_channels + o) * weight_at(tap + o);
                }
            }
        }
    }
    return sum;
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_backward_input_f16(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = (id.x + id.y * groups.x * workgroup_size) * 2u;
    if i >= batch * in_height * in_width * in_channels { return; }
    let c = i % in_channels;
    let x = i / in_channels % in_width;
    let y = i / (in_channels * in_width) % in_height;
    let n = i / (in_channels * in_width * in_height);
    input_grad[i / 2u] = pack2x16float(vec2(input_grad_at(n, y, x, c), input_grad_at(n, y, x, c + 1u)));
}
