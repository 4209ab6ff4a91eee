// Gradient of max-pooling, and of the rectifier before it.
//
//   input_grad[n,y,x,c] = output_grad of the window that holds (y, x) where that is its argmax, else 0
//
// The gradient before the rectifier depends on the sign of the maximum. One invocation computes a block of one word of channels:
// that of one window, or what is left over at the end of rows and columns.
// `quad` computes four channels, where their number is a multiple of 4.
//
// Parts: linear, floats_f16 or floats_f32 or texels_f16 or texels_f32, quad or single, channels, windows, blocks_of_map,
// rectifier_grad.
// CPU twin: MaxPoolBackward in src/ops/max_pool.rs.

@group(0) @binding(0) var<storage, read> output: array<Numbers>;            // [batch, out_height, out_width, channels]
@group(0) @binding(1) var<storage, read> output_grad: array<Numbers>;       // [batch, out_height, out_width, channels]
@group(0) @binding(2) var<storage, read> argmax: array<u32>;                // [batch, out_height, out_width, channels]
@group(0) @binding(3) var<storage, read_write> input_grad: array<Numbers>;  // [batch, height, width, channels]

@compute @workgroup_size(workgroup_size)
fn max_pool_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    let group = i % channel_groups;
    let x = i / channel_groups % blocks_across;
    let y = i / (channel_groups * blocks_across) % blocks_down;
    let n = i / (channel_groups * blocks_across * blocks_down);
    if n >= batch { return; }

    var grads = vec4(0.0);
    var places = vec4<u32>();
    if y < out_height && x < out_width {
        let window = ((n * out_height + y) * out_width + x) * channel_groups + group;
        grads = values_of(output_grad[window]);
        if is_rectified { grads = grad_before(grads, values_of(output[window])); }
        for (var k = 0u; k < NUMBERS; k++) { places[k] = argmax[window * NUMBERS + k]; }
    }
    for (var ky = 0u; ky < window_height; ky++) {
        for (var kx = 0u; kx < window_width; kx++) {
            let to_y = y * window_height + ky;
            let to_x = x * window_width + kx;
            if to_y < height && to_x < width {
                let is_maximum = places == vec4(ky * window_width + kx);
                input_grad[group_at(n, to_y, to_x, group)] = numbers_of(select(vec4(0.0), grads, is_maximum));
            }
        }
    }
}
