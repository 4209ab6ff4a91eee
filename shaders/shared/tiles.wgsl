// A grid with one workgroup for each tile. Its workgroups are a line that is folded into rows.

override workgroup_size: u32;

/// The index of a workgroup in the line.
fn tile_index(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.x + group.y * groups.x;
}
