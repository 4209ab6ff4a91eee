// The next batch of the resident data set, as normalised floats.
//
//   output[n,p] = byte p of image order[cursor * batch + n], times scale, plus shift
//   label[n]    = its label
//
// An index outside the data set means "no sample": zeros, and a label that is no class. One invocation computes one word of
// pixels, in memory order; the first of an image also its label.
// `quad` computes four pixels, where their number is a multiple of 4; `run` several such quads, which is fastest in software.
//
// Parts: linear, floats_f16 or floats_f32, batch_gather.
// CPU twin: BatchGather in src/ops/batch.rs.

@group(0) @binding(4) var<storage, read_write> output: array<Word>;  // [batch, pixels]

fn pixel_at(i: u32) -> f32 {
    return f32(grey_of(i)) * scale + shift;
}

@compute @workgroup_size(workgroup_size)
fn batch_gather(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups) * FLOATS_PER_WORD;
    if i >= batch * pixels { return; }
    let p = i % pixels;
    let n = i / pixels;
    let index = index_of(n);
    var values = vec4(0.0);
    if index < count {
        values.x = pixel_at(index * pixels + p);
        if FLOATS_PER_WORD == 2u { values.y = pixel_at(index * pixels + p + 1u); }
    }
    output[i / FLOATS_PER_WORD] = word_of(values, 0u);
    if p == 0u { store_label(n, index); }
}
