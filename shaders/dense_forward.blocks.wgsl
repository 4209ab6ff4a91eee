// Dense (fully connected) layer with bias, then a rectifier, for GPUs and for software without subgroups; a workgroup for a tile
// of 16 samples by 16 outputs, of which each invocation has four by four, in registers, over a sixteenth of the sum's terms.
//
//   output[n,o] = rectified(bias[o] + sum over k of input[n,k] * weight[k,o])
//
// A layer has few outputs and long sums: only where many invocations share a sum does it fill a GPU. 64 terms at a time, the
// workgroup puts the inputs and the weights of its tile into its memory, each invocation four numbers of either, while it
// fetches the next ones. Then each term is an outer product of four weights and four inputs. The parts of a sum are added in
// pairs at the end. Needs a number of outputs that is a multiple of 4.
// Parts: tiles, dense, floats_f16 or floats_f32, texels_f16 or texels_f32, input_floats, outer, dense_blocks, split_sums,
// rectifier.
// CPU twin: DenseForward in src/ops/dense/forward.rs.

/// Quads of outputs of a tile, and quads of its samples.
const side = 4u;
/// Terms in the workgroup's memory at a time.
const slice = 64u;
/// Invocations that share the sums of a place in the tile.
const splits = 16u;

override quads: u32 = outputs / 4u;
override blocks: u32 = (quads + side - 1u) / side;

@group(0) @binding(0) var<storage, read> input: array<Word>;         // [batch, inputs]
@group(0) @binding(1) var<storage, read> weight: array<Four>;        // [inputs, outputs]
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;     // [outputs]
@group(0) @binding(3) var<storage, read_write> output: array<Four>;  // [batch, outputs]

/// For each term of the slice, the inputs of the tile's samples.
var<workgroup> samples: array<vec4<f32>, slice * pitch>;
/// For each term of the slice, the weights of the tile's outputs.
var<workgroup> weights: array<vec4<f32>, slice * side>;

/// The inputs of four samples, 0 beyond the last. A read beyond a buffer gives some number in WGSL, which here and below is
/// not used.
fn inputs_at(n: u32, k: u32) -> vec4<f32> {
    let i = n * inputs + k;
    return select(vec4(0.0), inputs_of_four(i), k < inputs);
}

/// The weights of four outputs for an input. Beyond the last input: the last one's weights. They are multiplied by 0.
fn weights_at(k: u32, quad: u32) -> vec4<f32> {
    return unpacked(weight[min(k, inputs - 1u) * quads + quad]);
}

fn store(n: u32, quad: u32, sums: vec4<f32>) {
    if n < batch && quad < quads { output[n * quads + quad] = packed(rectified(bias[quad] + sums)); }
}

@compute @workgroup_size(workgroup_size)
fn dense_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // No invocation may leave early: those beyond the last sample or output help to load, and store nothing.
    let block = tile_index(group, groups);
    let first_n = block / blocks * 4u * side;
    let first_quad = block % blocks * side;
    let column = local % side;
    let place = local % tile / side;
    let split = local / tile;

    // What this invocation loads: a term of four samples, and a term of four outputs.
    let sample_k = local % slice;
    let sample_quad = local / slice;
    let weight_k = local / side;
    var next_samples = inputs_at(first_n + 4u * sample_quad, sample_k);
    var next_weights = weights_at(weight_k, first_quad + column);
    var sums = mat4x4<f32>();
    for (var first = 0u; first < inputs; first += slice) {
        samples[sample_k * pitch + sample_quad] = next_samples;
        weights[local] = next_weights;
        workgroupBarrier();
        next_samples = inputs_at(first_n + 4u * sample_quad, first + slice + sample_k);
        next_weights = weights_at(first + slice + weight_k, first_quad + column);
        for (var k = split; k < slice; k += splits) {
            sums += outer(weights[k * side + column], samples[k * pitch + place]);
        }
        workgroupBarrier();
    }

    let n = first_n + 4u * place;
    // Invocations of the other splits have parts of sums, which they must not store.
    let own_quad = select(quads, first_quad + column, split == 0u);
    store(n, own_quad, total(local, sums[0], tile));
    store(n + 1u, own_quad, total(local, sums[1], tile));
    store(n + 2u, own_quad, total(local, sums[2], tile));
    store(n + 3u, own_quad, total(local, sums[3], tile));
}
