// One step of stochastic gradient descent of all parameters at once: the formula is in shared/sgd.wgsl, where the gradient is
// the sum over the chunks of grad_partial, in order.
//
// One invocation updates one element.
// Parts: linear, floats_f32, single, segments, partials, schedule, sgd.
// CPU twin: SgdStep in src/ops/optimizer_step.rs.

@group(0) @binding(1) var<storage, read> grad_partial: array<f32>;  // [gradients]
@group(0) @binding(3) var<storage, read> blocks: array<vec4<u32>>;  // [parameters / 64, 4]: offset, stride, chunks, elements
@group(0) @binding(4) var<storage, read> schedule: array<f32>;      // [steps, 3]: rate, correction 1, correction 2
@group(0) @binding(5) var<storage, read> clock: array<u32>;         // [3]: step, cursor, seed

@compute @workgroup_size(workgroup_size)
fn sgd_step(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= parameters || i % 64u >= blocks[i / 64u].w { return; }
    move_element(i, sum_of_partials(blocks[i / 64u], i % 64u));
}
