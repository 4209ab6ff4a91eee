// The next batch of the resident data set, as normalised floats.
//
//   output[n,p] = byte p of image order[cursor * batch + n], times scale, plus shift
//   label[n]    = its label
//
// An index outside the data set means "no sample": zeros, and a label that is no class. One invocation computes a run of
// neighbouring words of bytes, four pixels each, in memory order; the first of an image also its label. For numbers of pixels
// that are multiples of 4.
//
// Parts: linear, batch_gather.
// CPU twin: BatchGather in src/ops/batch.rs.

/// Words of a run, a divisor of those of an image: one on GPUs, where neighbouring invocations share what memory delivers;
/// several in software, so that an invocation finds its image once for all of them.
override words: u32;

override runs: u32 = pixels / (4u * words);

@group(0) @binding(4) var<storage, read_write> output: array<vec4<f32>>;  // [batch, pixels]

@compute @workgroup_size(workgroup_size)
fn batch_gather(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= batch * runs { return; }
    let run = i % runs;
    let n = i / runs;
    let index = index_of(n);
    let first = (min(index, count - 1u) * runs + run) * words;
    for (var word = 0u; word < words; word++) {
        let values = vec4<f32>(unpack4xU8(images[first + word])) * scale + shift;
        output[i * words + word] = select(vec4(0.0), values, index < count);
    }
    if run == 0u { store_label(n, index); }
}
