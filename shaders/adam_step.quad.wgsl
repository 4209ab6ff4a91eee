// One step of Adam or AdamW of all parameters at once: the formula is in shared/adam.wgsl, where the gradient is the sum over
// the chunks of grad_partial, in order.
//
// One invocation updates four neighbouring elements.
// Parts: linear, quad, segments, texels, texels_f32, schedule, faults, adam.
// CPU twin: AdamStep in src/ops/optimizer.rs.

@group(0) @binding(1) var grad_partial: Texels;  // [gradients]

/// Four neighbouring partial sums, the first anywhere in a texel.
fn partials_at(i: u32) -> vec4<f32> {
    return four_of(textureLoad(grad_partial, texel(i / 4u)), textureLoad(grad_partial, texel(i / 4u + 1u)), i);
}

@compute @workgroup_size(workgroup_size)
fn adam_step(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let quad = linear_index(id, groups);
    if quad >= parameters / 4u { return; }
    let block = blocks[quad / 16u];
    let element = quad % 16u * 4u;
    let old = load_state(quad);
    let next = moved(old, sum_of_partials(block, element));
    // Beyond the last element of a parameter nothing changes.
    let inside = vec4(element) + vec4(0u, 1u, 2u, 3u) < vec4(block.w);
    store_state(quad, State(
        select(old.parameter, next.parameter, inside),
        select(old.first_moment, next.first_moment, inside),
        select(old.second_moment, next.second_moment, inside),
    ));
    note_faults(select(vec4(0.0), next.parameter, inside));
}
