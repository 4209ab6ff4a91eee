// One step of Adam or AdamW of all parameters at once: the formula is in shared/adam.wgsl, where the gradient is the sum over
// the chunks of grad_partial, in order.
//
// One invocation updates four neighbouring elements. CPU twin: AdamStep in src/ops/optimizer_step.rs.

@group(0) @binding(1) var grad_partial: Texels;                     // [gradients]
@group(0) @binding(4) var<storage, read> blocks: array<vec4<u32>>;  // [parameters / 64, 4]: offset, stride, chunks, elements
@group(0) @binding(5) var<storage, read> schedule: array<f32>;      // [steps, 3]: rate, c1, c2
@group(0) @binding(6) var<storage, read> clock: array<u32>;         // [3]: step, cursor, seed

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
    // Behind the last element of a parameter nothing changes.
    let inside = vec4(element) + vec4(0u, 1u, 2u, 3u) < vec4(block.w);
    store_state(quad, State(
        select(old.parameter, next.parameter, inside),
        select(old.first_moment, next.first_moment, inside),
        select(old.second_moment, next.second_moment, inside),
    ));
}
