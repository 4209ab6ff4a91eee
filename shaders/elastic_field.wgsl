// The random grids of elastic deformations: a displacement for each point of each sample's grid.
//
//   field[n,row,column] = displacements along x (low 16 bits) and y (high 16 bits), each from -most_elastic to most_elastic
//
// They are random numbers of (seed, key) and (i, step), where i counts the points of all samples. One invocation computes one.
//
// Parts: linear, threefry, amounts, elastic_grid.
// CPU twin: ElasticField in src/ops/augment/elastic.rs.

override batch: u32;
override key: u32;

@group(0) @binding(0) var<storage, read> clock: array<u32>;        // [4]: step, cursor, seed, fault
@group(0) @binding(1) var<storage, read_write> field: array<u32>;  // [batch, POINTS, POINTS]

@compute @workgroup_size(workgroup_size)
fn elastic_field(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= batch * POINTS * POINTS { return; }
    let word = threefry(vec2(clock[2], key), vec2(i, clock[0])).x;
    let both = amounts(vec2(word & 0xffffu, word >> 16u).xyxy, vec4(most_elastic));
    field[i] = (u32(both.x) & 0xffffu) | (u32(both.y) << 16u);
}
