// Gradient of max-pooling.
//
//   input_grad[p,i] = output_grad of the window that holds position i where i is that window's argmax, else 0
//
// Positions left over at the end belong to no window. One invocation computes one element of the input's gradient, in
// memory order. CPU twin: MaxPoolBackward in src/ops/max_pool.rs.

override planes: u32;
override height: u32;
override width: u32;
override size: u32;
override workgroup_size: u32;

override out_height: u32 = height / size;
override out_width: u32 = width / size;

@group(0) @binding(0) var<storage, read> output_grad: array<f32>;       // [planes, out_height, out_width]
@group(0) @binding(1) var<storage, read> argmax: array<u32>;            // [planes, out_height, out_width]
@group(0) @binding(2) var<storage, read_write> input_grad: array<f32>;  // [planes, height, width]

@compute @workgroup_size(workgroup_size)
fn max_pool_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * workgroup_size;
    if i >= planes * height * width { return; }
    let position = i % (height * width);
    let plane = i / (height * width);
    let x = position % width / size;
    let y = position / width / size;

    var grad = 0.0;
    if x < out_width && y < out_height {
        let window = (plane * out_height + y) * out_width + x;
        if argmax[window] == position {
            grad = output_grad[window];
        }
    }
    input_grad[i] = grad;
}
