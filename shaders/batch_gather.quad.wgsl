// The next batch of the resident data set, as normalised floats.
//
//   output[n,p] = byte p of image order[cursor * batch + n], times scale, plus shift
//   label[n]    = its label
//
// An index outside the data set means "no sample": zeros, and a label that is no class. Bytes are packed four to a
// word, the first in the lowest bits. One invocation computes the four pixels of a word, in memory order; the first of an image
// also its label. For numbers of pixels that are multiples of 4. CPU twin: BatchGather in src/ops/batch.rs.

override batch: u32;
override pixels: u32;
override count: u32;
override order_length: u32;
override scale: f32;
override shift: f32;
override workgroup_size: u32;

const no_label = 0xFFFFFFFFu;

@group(0) @binding(0) var<storage, read> images: array<u32>;              // [count * pixels / 4]
@group(0) @binding(1) var<storage, read> labels: array<u32>;              // [count / 4]
@group(0) @binding(2) var<storage, read> order: array<u32>;               // [order_length]
@group(0) @binding(3) var<storage, read> clock: array<u32>;               // [3]: step, cursor, seed
@group(0) @binding(4) var<storage, read_write> output: array<vec4<f32>>;  // [batch, pixels]
@group(0) @binding(5) var<storage, read_write> label: array<u32>;         // [batch]

@compute @workgroup_size(workgroup_size)
fn batch_gather(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * workgroup_size;
    let words = pixels / 4u;
    if i >= batch * words { return; }
    let word = i % words;
    let n = i / words;

    let cursor = clock[1];
    let index = order[cursor * batch + n];
    let is_sample = index < count;

    var values = vec4(0.0);
    if is_sample {
        values = vec4<f32>(unpack4xU8(images[index * words + word])) * scale + shift;
    }
    output[i] = values;

    if word == 0u {
        var found = no_label;
        if is_sample {
            found = (labels[index / 4u] >> (8u * (index % 4u))) & 0xFFu;
        }
        label[n] = found;
    }
}
