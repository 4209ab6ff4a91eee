// Gradients of a convolution with respect to its weights and bias, one partial sum for each chunk of samples; one invocation for
// each.
//
//   weight_grad_partial[chunk,ky,kx,c,o] = sum over the chunk's n and all y, x of
//       output_grad[n,y,x,o] * input[n, y * stride + ky - before, x * stride + kx - before, c]
//   bias_grad_partial[chunk,o]           = sum over the same of output_grad[n,y,x,o]
//
// with zeros outside the input; the chunks are added in order later.
//
// Its variants:
//
//   lanes   8 lanes load gradients for each other: fastest on software adapters with subgroups
//   blocks  a product of matrices by blocks in workgroup memory, for GPUs, and for software without subgroups
//
// Parts: stride, conv2d, chunks, grad_divisors_f16 or grad_divisors_f32, parameter_elements, linear, floats_f16 or floats_f32.
// CPU twin: Conv2dBackwardWeight in src/ops/conv2d/gradients.rs.

@group(0) @binding(0) var<storage, read> input: array<Word>;        // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> output_grad: array<Word>;  // [batch, out_height, out_width, out_channels]
@group(0) @binding(2) var<storage, read_write> weight_grad_partial: array<f32>;  // [chunks, ky, kx, c, o]
@group(0) @binding(3) var<storage, read_write> bias_grad_partial: array<f32>;    // [chunks, out_channels]

@compute @workgroup_size(workgroup_size)
fn conv2d_backward_weight(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= elements { return; }
    let element = element_of(i);
    let o = element.o;
    var sum = 0.0;
    for (var n = element.chunk * samples_per_chunk; n < end_of_chunk(element.chunk); n++) {
        for (var y = 0u; y < out_height; y++) {
            for (var x = 0u; x < out_width; x++) {
                let at = ((n * out_height + y) * out_width + x) * out_channels + o;
                let grad = float_of(output_grad[at / FLOATS_PER_WORD], at);
                if element.is_bias {
                    sum += grad;
                    continue;
                }
                // Positions above and to the left wrap round to huge numbers.
                let in_y = y * stride + element.ky - before;
                let in_x = x * stride + element.kx - before;
                if in_y < in_height && in_x < in_width {
                    let met = ((n * in_height + in_y) * in_width + in_x) * in_channels + element.c;
                    sum += grad * float_of(input[met / FLOATS_PER_WORD], met);
                }
            }
        }
    }
    put(element, sum);
}
