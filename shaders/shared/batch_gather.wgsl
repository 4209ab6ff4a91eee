// The next batch of the resident data set: sizes and operands. Bytes are packed four to a word, the first in the lowest bits.

override batch: u32;
override pixels: u32;
override count: u32;
override order_length: u32;
override scale: f32;
override shift: f32;

@group(0) @binding(0) var<storage, read> images: array<u32>;       // [count * pixels / 4]
@group(0) @binding(1) var<storage, read> labels: array<u32>;       // [count]
@group(0) @binding(2) var<storage, read> order: array<u32>;        // [order_length]
@group(0) @binding(3) var<storage, read> clock: array<u32>;        // [4]: step, cursor, seed, fault
@group(0) @binding(5) var<storage, read_write> label: array<u32>;  // [batch]

/// Where a sample of the batch is in the data set; beyond its end for "no sample".
fn index_of(n: u32) -> u32 {
    return order[clock[1] * batch + n];
}

/// A byte of all images.
fn grey_of(i: u32) -> u32 {
    return (images[i / 4u] >> (8u * (i % 4u))) & 0xFFu;
}

/// Stores the label of a sample; for "no sample" one that is no class.
fn store_label(n: u32, index: u32) {
    var found = 0xFFFFFFFFu;
    if index < count {
        found = labels[index];
    }
    label[n] = found;
}
