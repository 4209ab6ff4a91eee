// Max-pooling over square windows that touch but do not overlap.
//
//   output[p,y,x] = max over ky, kx of input[p, size * y + ky, size * x + kx]
//   argmax[p,y,x] = y * width + x of that maximum in the input, the first one of equals
//
// Rows and columns left over at the end are dropped. One invocation computes one element of both outputs, in memory
// order.
// Parts: linear, max_pool.
// CPU twin: MaxPoolForward in src/ops/max_pool.rs.

@group(0) @binding(0) var<storage, read> input: array<f32>;         // [planes, height, width]
@group(0) @binding(1) var<storage, read_write> output: array<f32>;  // [planes, out_height, out_width]
@group(0) @binding(2) var<storage, read_write> argmax: array<u32>;  // [planes, out_height, out_width]

@compute @workgroup_size(workgroup_size)
fn max_pool_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= planes * out_height * out_width { return; }
    let x = i % out_width;
    let y = i / out_width % out_height;
    let plane = i / (out_width * out_height) * height * width;

    var best_position = y * size * width + x * size;
    var best = input[plane + best_position];
    for (var ky = 0u; ky < size; ky++) {
        for (var kx = 0u; kx < size; kx++) {
            let position = (y * size + ky) * width + x * size + kx;
            let value = input[plane + position];
            if value > best {
                best = value;
                best_position = position;
            }
        }
    }
    output[i] = best;
    argmax[i] = best_position;
}
