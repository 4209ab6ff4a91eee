// One step of Adam or AdamW of all parameters at once: the formula is in shared/adam.wgsl, where the gradient is the sum over
// the chunks of grad_partial, in order.
//
// One invocation updates one element.
// `quad` updates four, whose partial sums it reads as texels: fastest on software adapters.
//
// Parts: linear, floats_f32, single, segments, partials, schedule, faults, adam.
// CPU twin: AdamStep in src/ops/optimizer.rs.

@group(0) @binding(1) var<storage, read> grad_partial: array<f32>;  // [gradients]

@compute @workgroup_size(workgroup_size)
fn adam_step(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= parameters || i % 64u >= blocks[i / 64u].w { return; }
    let next = moved(load_state(i), sum_of_partials(blocks[i / 64u], i % 64u));
    store_state(i, next);
    note_faults(values_of(next.parameter));
}
