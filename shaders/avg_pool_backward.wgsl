// Gradient of average-pooling, and of the rectifier before it.
//
//   input_grad[n,y,x,c] = output_grad of the window that holds (y, x) / (window_height * window_width), or 0
//
// The gradient before the rectifier depends on the sign of the input. One invocation computes a block of one word of channels:
// that of one window, or what is left over at the end of rows and columns.
// `quad` computes four channels, where their number is a multiple of 4.
//
// Parts: linear, floats_f16 or floats_f32 or texels_f16 or texels_f32, quad or single, channels, windows, blocks_of_map,
// rectifier_grad.
// CPU twin: AvgPoolBackward in src/ops/avg_pool.rs.

@group(0) @binding(0) var<storage, read> input: array<Numbers>;             // [batch, height, width, channels]
@group(0) @binding(1) var<storage, read> output_grad: array<Numbers>;       // [batch, out_height, out_width, channels]
@group(0) @binding(2) var<storage, read_write> input_grad: array<Numbers>;  // [batch, height, width, channels]

@compute @workgroup_size(workgroup_size)
fn avg_pool_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    let block = place_of(i, blocks_down, blocks_across);
    if block.n >= batch { return; }

    var share = vec4(0.0);
    if block.y < out_height && block.x < out_width {
        let window = ((block.n * out_height + block.y) * out_width + block.x) * channel_groups + block.group;
        share = values_of(output_grad[window]) / f32(window_height * window_width);
    }
    for (var ky = 0u; ky < window_height; ky++) {
        for (var kx = 0u; kx < window_width; kx++) {
            let y = block.y * window_height + ky;
            let x = block.x * window_width + kx;
            if y < height && x < width {
                let to = group_at(block.n, y, x, block.group);
                var grads = share;
                if is_rectified { grads = grad_before(share, values_of(input[to])); }
                input_grad[to] = numbers_of(grads);
            }
        }
    }
}
