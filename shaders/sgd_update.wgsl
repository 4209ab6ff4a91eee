// One step of stochastic gradient descent: the formula is in shared/sgd.wgsl.
//
// One invocation updates one element.
// Parts: linear, schedule, sgd.
// CPU twin: SgdUpdate in src/ops/optimizer.rs.

override length: u32;

@group(0) @binding(1) var<storage, read> grad: array<f32>;      // [length]
@group(0) @binding(3) var<storage, read> schedule: array<f32>;  // [steps, 3]: rate, correction 1, correction 2
@group(0) @binding(4) var<storage, read> clock: array<u32>;     // [3]: step, cursor, seed

@compute @workgroup_size(workgroup_size)
fn sgd_update(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= length { return; }
    move_element(i, grad[i]);
}
