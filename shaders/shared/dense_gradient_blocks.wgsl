// What kernels of a dense layer's gradients by blocks in workgroup memory share: tiles of 32 rows by 32 columns, and the factors
// of the weights' gradient. Needs numbers of inputs and of outputs that are multiples of 4.

/// Quads of rows of a tile, and quads of its columns.
const side = 8u;
/// Terms in the workgroup's memory at a time.
const slice = 32u;
/// Invocations that share the sums of a place in the tile.
const splits = 4u;

override in_quads: u32 = inputs / 4u;
override out_quads: u32 = outputs / 4u;
override out_blocks: u32 = (out_quads + side - 1u) / side;

@group(0) @binding(0) var<storage, read> input: array<Four>;        // [batch, inputs]
@group(0) @binding(1) var<storage, read> output_grad: array<Four>;  // [batch, outputs]

/// For each term of the slice, the factors of the tile's columns, which lie side by side in the result.
var<workgroup> columns: array<vec4<f32>, slice * pitch - 1u>;
/// For each term of the slice, the factors of its rows.
var<workgroup> rows: array<vec4<f32>, slice * pitch - 1u>;

/// The gradients of four outputs of a sample, 0 beyond the last sample. A read beyond a buffer gives some number in WGSL, which
/// is not used, here and below.
fn grads_of_outputs(n: u32, quad: u32) -> vec4<f32> {
    return select(vec4(0.0), unpacked(output_grad[n * out_quads + quad]), n < batch);
}

/// The inputs of a sample. Beyond the last sample: those of the last one. They are multiplied by 0.
fn inputs_at(n: u32, quad: u32) -> vec4<f32> {
    return unpacked(input[min(n, batch - 1u) * in_quads + quad]);
}
