// One step of Adam or AdamW: the formula is in shared/adam.wgsl.
//
// One invocation updates one element.
// Parts: linear, floats_f32, single, schedule, adam.
// CPU twin: AdamUpdate in src/ops/optimizer.rs.

override length: u32;

@group(0) @binding(1) var<storage, read> grad: array<f32>;      // [length]
@group(0) @binding(4) var<storage, read> schedule: array<f32>;  // [steps, 3]: rate, c1, c2
@group(0) @binding(5) var<storage, read> clock: array<u32>;     // [3]: step, cursor, seed

@compute @workgroup_size(workgroup_size)
fn adam_update(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= length { return; }
    store_state(i, moved(load_state(i), grad[i]));
}
