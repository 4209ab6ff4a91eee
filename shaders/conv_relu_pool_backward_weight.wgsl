// Gradients of convolution, ReLU and max-pooling with respect to weights and bias, one partial sum for each chunk of
// samples; one invocation for each.
//
//   weight_grad_partial[chunk,ky,kx,c,o] = sum over the chunk's windows n, y, x that have a maximum in channel o of
//       output_grad[n,y,x,o] * input[n, y * pool + dy + ky - before, x * pool + dx + kx - before, c]
//   bias_grad_partial[chunk,o]           = sum over the same of output_grad[n,y,x,o]
//
// where argmax holds dy * pool + dx, with zeros outside the input; the chunks are added in order later.
//
// Its variants are for windows of 2x2:
//
//   lanes             8 lanes load for each other; for any number of channels
//   lanes_3x3         fetches only the inputs at the maxima, for kernels of 3x3 and channels in fours: fastest there on software
//                     adapters with subgroups
//   lanes_3x3_grey    the same for a first layer, of one channel: fastest there on such adapters
//   blocks            inputs in workgroup memory, for GPUs, and for software without subgroups where there is more than one
//                     input channel
//   matrix8, matrix16  a product of matrices in half precision on matrix units
//
// Parts: conv2d, runs, conv_relu_pool, chunks, grad_divisors_f16 or grad_divisors_f32, parameter_elements, linear, floats_f16 or
// floats_f32.
// CPU twin: ConvReluPoolBackwardWeight in src/ops/conv_relu_pool/gradients.rs.

@group(0) @binding(0) var<storage, read> input: array<Word>;  // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> output_grad: array<Word>;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(2) var<storage, read> argmax: array<u32>;  // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(3) var<storage, read_write> weight_grad_partial: array<f32>;  // [chunks, ky, kx, c, o]
@group(0) @binding(4) var<storage, read_write> bias_grad_partial: array<f32>;  // [chunks, out_channels]

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_backward_weight(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = linear_index(id, groups);
    if i >= elements { return; }
    let element = element_of(i);
    let o = element.o;
    var sum = 0.0;
    for (var n = element.chunk * samples_per_chunk; n < end_of_chunk(element.chunk); n++) {
        for (var y = 0u; y < pooled_height; y++) {
            for (var x = 0u; x < pooled_width; x++) {
                let window = (n * pooled_height + y) * pooled_width + x;
                let code = (argmax[window * quads + o / 4u] >> (8u * (o % 4u))) & 255u;
                if code == 255u { continue; }
                let pooled = window * out_channels + o;
                let grad = float_of(output_grad[pooled / FLOATS_PER_WORD], pooled);
                if element.is_bias {
                    sum += grad;
                    continue;
                }
                // Positions above and to the left wrap round to huge numbers.
                let in_y = y * pool + code / pool + element.ky - before;
                let in_x = x * pool + code % pool + element.kx - before;
                if in_y < in_height && in_x < in_width {
                    let met = ((n * in_height + in_y) * in_width + in_x) * in_channels + element.c;
                    sum += grad * float_of(input[met / FLOATS_PER_WORD], met);
                }
            }
        }
    }
    put(element, sum);
}
