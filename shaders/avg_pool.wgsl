// Average-pooling over square windows that touch but do not overlap, or its gradient.
//
//   output[p,y,x] = mean over ky, kx of input[p, size * y + ky, size * x + kx]
//   output[p,y,x] = input[p, y / size, x / size] / size^2, and 0 outside of all windows      (backward)
//
// One invocation computes one element.
// Parts: linear, max_pool.
// CPU twin: AvgPool in src/layers/avg.rs.

override backward: bool;

@group(0) @binding(0) var<storage, read> input: array<f32>;         // [planes, height, width], means if backward
@group(0) @binding(1) var<storage, read_write> output: array<f32>;  // [planes, out_height, out_width], a map if backward

@compute @workgroup_size(workgroup_size)
fn avg_pool(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    var extents = vec2(out_width, out_height);
    if backward { extents = vec2(width, height); }
    let i = linear_index(id, groups);
    if i >= planes * extents.x * extents.y { return; }
    let place = vec2(i % extents.x, i / extents.x % extents.y);
    let plane = i / (extents.x * extents.y);

    var sum = 0.0;
    if backward {
        let window = place / size;
        if all(window < vec2(out_width, out_height)) { sum = input[(plane * out_height + window.y) * out_width + window.x]; }
    } else {
        for (var k = 0u; k < size * size; k++) {
            let element = place * size + vec2(k % size, k / size);
            sum += input[(plane * height + element.y) * width + element.x];
        }
    }
    output[i] = sum / f32(size * size);
}
