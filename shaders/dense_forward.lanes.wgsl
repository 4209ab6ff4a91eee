// Dense (fully connected) layer with bias, then a rectifier; a workgroup for 32 samples, in which each invocation has four
// neighbouring outputs.
//
//   output[n,o] = rectified(bias[o] + sum over k of input[n,k] * weight[k,o])
//
// Each of 8 lanes loads the inputs of four samples for all. Needs subgroups of 8 lanes or more.
//
// Parts: tiles, dense, texels, texels_f16 or texels_f32, input_texels, floats_f16 or floats_f32, weight_texels, lane_sums,
// put_sums, dense_forward_lanes, rectifier.
// CPU twin: DenseForward in src/ops/dense/forward.rs.

@group(0) @binding(3) var<storage, read_write> output: array<Word>;  // [batch, outputs]

fn put(n: u32, o: u32, sums: vec4<f32>) {
    if n >= batch { return; }
    let values = rectified(sums);
    let i = n * outputs + o;
    for (var j = 0u; j < 4u; j += FLOATS_PER_WORD) {
        if o + j < outputs { output[(i + j) / FLOATS_PER_WORD] = word_of(values, j); }
    }
}

@compute @workgroup_size(workgroup_size)
fn dense_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last output help to load inputs, and store nothing.
    let o = (group.z * workgroup_size + local) * 4u;
    let first = tile_index(group, groups) * 32u;
    sum_products(first, o, lane);
    put_sums(first, o);
}
