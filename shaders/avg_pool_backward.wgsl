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
    let group = i % channel_groups;
    let x = i / channel_groups % blocks_across;
    let y = i / (channel_groups * blocks_across) % blocks_down;
    let n = i / (channel_groups * blocks_across * blocks_down);
    if n >= batch { return; }

    var share = vec4(0.0);
    if y < out_height && x < out_width {
        let window = ((n * out_height + y) * out_width + x) * channel_groups + group;
        share = values_of(output_grad[window]) / f32(window_height * window_width);
    }
    for (var ky = 0u; ky < window_height; ky++) {
        for (var kx = 0u; kx < window_width; kx++) {
            let to_y = y * window_height + ky;
            let to_x = x * window_width + kx;
            if to_y < height && to_x < width {
                let to = group_at(n, to_y, to_x, group);
                var grads = share;
                if is_rectified { grads = grad_before(share, values_of(input[to])); }
                input_grad[to] = numbers_of(grads);
            }
        }
    }
}
