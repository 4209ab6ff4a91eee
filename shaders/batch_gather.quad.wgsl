// The next batch of the resident data set, as normalised floats.
//
//   output[n,p] = byte p of image order[cursor * batch + n], times scale, plus shift
//   label[n]    = its label
//
// An index outside the data set means "no sample": zeros, and a label that is no class. One invocation computes the four pixels
// of a word of bytes, in memory order; the first of an image also its label. For numbers of pixels that are multiples of 4.
//
// Parts: linear, batch_gather.
// CPU twin: BatchGather in src/ops/batch.rs.

@group(0) @binding(4) var<storage, read_write> output: array<vec4<f32>>;  // [batch, pixels]

@compute @workgroup_size(workgroup_size)
fn batch_gather(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    let words = pixels / 4u;
    if i >= batch * words { return; }
    let word = i % words;
    let n = i / words;
    let index = index_of(n);
    var values = vec4(0.0);
    if index < count {
        values = vec4<f32>(unpack4xU8(images[index * words + word])) * scale + shift;
    }
    output[i] = values;
    if word == 0u { store_label(n, index); }
}
