// The sum of the squares of each block of 64 gradients, of which each is the sum over the chunks of grad_partial, in order.
//
//   square_partial[block] = sum over the block's elements i of grad[i] * grad[i]
//
// One invocation computes one sum.
// Parts: linear, floats_f32, single, segments, partials.
// CPU twin: GradSquares in src/ops/clip.rs.

@group(0) @binding(0) var<storage, read> grad_partial: array<f32>;          // [gradients]
@group(0) @binding(1) var<storage, read> blocks: array<vec4<u32>>;  // [parameters / 64, 4]: offset, stride, chunks, elements
@group(0) @binding(2) var<storage, read_write> square_partial: array<f32>;  // [parameters / 64]

@compute @workgroup_size(workgroup_size)
fn grad_squares(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= parameters / 64u { return; }
    let block = blocks[i];
    var sum = 0.0;
    for (var element = 0u; element < block.w; element++) {
        let grad = sum_of_partials(block, element);
        sum += grad * grad;
    }
    square_partial[i] = sum;
}
