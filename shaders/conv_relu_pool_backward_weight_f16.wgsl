// Gradients of convolution, ReLU and max-pooling in half precision with respect to weights and bias, one partial sum for each
// chunk of samples; one invocation for each.
//
//   weight_grad_partial[chunk,ky,kx,c,o] = sum over the chunk's windows n, y, x that have a maximum in channel o of
//       output_grad[n,y,x,o] * input[n, y * pool + dy + ky - before, x * pool + dx + kx - before, c]
//   bias_grad_partial[chunk,o]           = sum over the same of output_grad[n,y,x,o]
//
// where argmax holds dy * pool + dx, with zeros outside the input; the chunks are added in order later. What is stored are the
// gradients of the batch's mean loss: output_grad is that of its sum, times loss_scale. 16-bit floats lie two to a word, the
// first in the lower bits. CPU twin: ConvReluPoolBackwardWeight in src/ops/conv_relu_pool/half.rs.

override batch: u32;
override in_channels: u32;
override in_height: u32;
override in_width: u32;
override out_channels: u32;
override kernel: u32;
override padding: u32;
override pool: u32;
override samples_per_chunk: u32;
override loss_scale: f32;
override workgroup_size: u32;

override before: u32 = padding / 2u;
override pooled_height: u32 = (in_height + padding - kernel + 1u) / pool;
override pooled_width: u32 = (in_width + padding - kernel + 1u) / pool;
override quads: u32 = (out_channels + 3u) / 4u;
override weights: u32 = kernel * kernel * in_channels * out_channels;
override chunks: u32 = (batch + samples_per_chunk - 1u) / samples_per_chunk;

@group(0) @binding(0) var<storage, read> input: array<u32>;                      // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> output_grad: array<u32>;                // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(2) var<storage, read> argmax: array<u32>;                     // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(3) var<storage, read_write> weight_grad_partial: array<f32>;  // [chunks, kernel, kernel, in_channels, out_channels]
@group(0) @binding(4) var<storage, read_write> bias_grad_partial: array<f32>;    // [chunks, out_channels]

/// An element of input, widened.
fn input_at(i: u32) -> f32 {
    return unpack2x16float(input[i / 2u])[i % 2u];
}

/// An element of output_grad, widened.
fn output_grad_at(i: u32) -> f32 {
    return unpack2x16float(output_grad[i / 2u])[i % 2u];
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_backward_weight_f16(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    // First the weights of all chunks, then the biases.
    let i = id.x + id.y * groups.x * workgroup_size;
    if i >= chunks * (weights + out_channels) { return; }
    let is_bias = i >= chunks * weights;
    let element = select(i, i - chunks * weights, is_bias);
    let chunk = element / select(weights, out_channels, is_bias);
    let o = element % out_channels;
    let c = element / out_channels % in_channels;
    let kx = element / (out_channels * in_channels) % kernel;
    let ky = element / (out_channels * in_channels * kernel) % kernel;
    var sum = 0.0;
    let end = min((chunk + 1u) * samples_per_chunk, batch);
    for (var n = chunk * samples_per_chunk; n < end; n++) {
        for (var y = 0u; y < pooled_height; y++) {
            for (var x = 0u; x < pooled_width; x++) {
                let window = (n * pooled_height + y) * pooled_width + x;
                let code = (argmax[window * quads + o / 4u] >> (8u * (o % 4u))) & 255u;
                if code == 255u { continue; }
                let grad = output_grad_at(window * out_channels + o);
                if is_bias {
                    sum += grad;
                    continue;
                }
                // Positions above and to the left wrap round to huge numbers.
                let in_y = y * pool + code / pool + ky - before;
                let in_x = x * pool + code % pool + kx - before;
                if in_y < in_height && in_x < in_width {
                    sum += grad * input_at(((n * in_height + in_y) * in_width + in_x) * in_channels + c);
                }
            }
        }
    }
    sum /= loss_scale * f32(batch);
    if is_bias {
        bias_grad_partial[element] = sum;
    } else {
        weight_grad_partial[element] = sum;
    }
}
