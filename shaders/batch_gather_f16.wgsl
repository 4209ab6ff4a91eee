// The next batch of the resident data set, as normalised 16-bit floats.
//
//   output[n,p] = byte p of image order[cursor * batch + n], times scale, plus shift
//   label[n]    = its label
//
// An index outside the data set means "no sample": zeros, and a label that is no class. Bytes are packed four to a
// word, 16-bit floats two, the first in the lowest bits. One invocation computes one word of pixels, in memory order; the
// first of an image also its label. CPU twin: BatchGather in src/ops/half.rs.

override batch: u32;
override pixels: u32;  // even
override count: u32;
override order_length: u32;
override scale: f32;
override shift: f32;
override workgroup_size: u32;

const no_label = 0xFFFFFFFFu;

@group(0) @binding(0) var<storage, read> images: array<u32>;        // [count * pixels / 4]
@group(0) @binding(1) var<storage, read> labels: array<u32>;        // [count / 4]
@group(0) @binding(2) var<storage, read> order: array<u32>;         // [order_length]
@group(0) @binding(3) var<storage, read> clock: array<u32>;         // [3]: step, cursor, seed
@group(0) @binding(4) var<storage, read_write> output: array<u32>;  // [batch, pixels]
@group(0) @binding(5) var<storage, read_write> label: array<u32>;   // [batch]

fn grey(address: u32) -> f32 {
    return f32((images[address / 4u] >> (8u * (address % 4u))) & 0xFFu);
}

@compute @workgroup_size(workgroup_size)
fn batch_gather_f16(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = (id.x + id.y * groups.x * workgroup_size) * 2u;
    if i >= batch * pixels { return; }
    let p = i % pixels;
    let n = i / pixels;

    let cursor = clock[1];
    let index = order[cursor * batch + n];
    let is_sample = index < count;

    var values = vec2(0.0);
    if is_sample {
        let address = index * pixels + p;
        values = vec2(grey(address), grey(address + 1u)) * scale + shift;
    }
    output[i / 2u] = pack2x16float(values);

    if p == 0u {
        var found = no_label;
        if is_sample {
            found = (labels[index / 4u] >> (8u * (index % 4u))) & 0xFFu;
        }
        label[n] = found;
    }
}
