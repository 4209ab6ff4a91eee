// Dense (fully connected) layer with bias, then a rectifier.
//
//   output[n,o] = rectified(bias[o] + sum over k of input[n,k] * weight[k,o])
//
// One invocation computes one word of the output, in memory order.
// `lanes` shares loads between 8 lanes: fastest on software adapters with subgroups. `blocks` shares them in a workgroup's
// memory, for GPUs, and for software without subgroups.
//
// Parts: floats_f16 or floats_f32, dense, rectifier, linear, dense_sum.
// CPU twin: DenseForward in src/ops/dense/forward.rs.

@group(0) @binding(3) var<storage, read_write> output: array<Word>;  // [batch, outputs]

@compute @workgroup_size(workgroup_size)
fn dense_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups) * FLOATS_PER_WORD;
    if i >= batch * outputs { return; }
    var values = vec4(output_at(i / outputs, i % outputs));
    if FLOATS_PER_WORD == 2u { values.y = output_at(i / outputs, i % outputs + 1u); }
    output[i / FLOATS_PER_WORD] = word_of(rectified(values), 0u);
}
