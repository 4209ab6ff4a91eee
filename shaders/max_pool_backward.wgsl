// Gradient of max-pooling.
//
//   input_grad[p,i] = output_grad of the window that holds position i where i is that window's argmax, else 0
//
// Positions left over at the end belong to no window. One invocation computes a block of size x size elements of the
// input's gradient: those of one window, or what is left over at the end of a row or column.
//
// Parts: linear, max_pool.
// CPU twin: MaxPoolBackward in src/ops/max_pool.rs.

override blocks_down: u32 = (height + size - 1u) / size;
override blocks_across: u32 = (width + size - 1u) / size;

@group(0) @binding(0) var<storage, read> output_grad: array<f32>;       // [planes, out_height, out_width]
@group(0) @binding(1) var<storage, read> argmax: array<u32>;            // [planes, out_height, out_width]
@group(0) @binding(2) var<storage, read_write> input_grad: array<f32>;  // [planes, height, width]

@compute @workgroup_size(workgroup_size)
fn max_pool_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= planes * blocks_down * blocks_across { return; }
    let x = i % blocks_across;
    let y = i / blocks_across % blocks_down;
    let plane = i / (blocks_across * blocks_down);

    // A block that is left over looks at the last window before it, whose maximum does not lie in the block.
    let window = (plane * out_height + min(y, out_height - 1u)) * out_width + min(x, out_width - 1u);
    let grad = output_grad[window];
    let maximum = argmax[window];
    for (var in_y = y * size; in_y < min((y + 1u) * size, height); in_y++) {
        for (var in_x = x * size; in_x < min((x + 1u) * size, width); in_x++) {
            let position = in_y * width + in_x;
            input_grad[plane * height * width + position] = select(0.0, grad, position == maximum);
        }
    }
}
