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
    let block = place_of(i, blocks_down, blocks_across);
    if block.n >= batch { return; }

    var grads = vec4(0.0);
    var places = vec4<u32>();
    if block.y < out_height && block.x < out_width {
        let window = ((block.n * out_height + block.y) * out_width + block.x) * channel_groups + block.group;
        grads = values_of(output_grad[window]);
        if is_rectified { grads = grad_before(grads, values_of(output[window])); }
        for (var k = 0u; k < NUMBERS; k++) { places[k] = argmax[window * NUMBERS + k]; }
    }
    for (var ky = 0u; ky < window_height; ky++) {
        for (var kx = 0u; kx < window_width; kx++) {
            let y = block.y * window_height + ky;
            let x = block.x * window_width + kx;
            if y < height && x < width {
                let is_maximum = places == vec4(ky * window_width + kx);
                input_grad[group_at(block.n, y, x, block.group)] = numbers_of(select(vec4(0.0), grads, is_maximum));
            }
        }
    }
}
