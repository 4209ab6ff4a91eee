// A grid with one invocation for each element. Its workgroups are a line that is folded into rows.

override workgroup_size: u32;

/// The index of an invocation in the line.
fn linear_index(id: vec3<u32>, groups: vec3<u32>) -> u32 {
    return id.x + id.y * groups.x * workgroup_size;
}
