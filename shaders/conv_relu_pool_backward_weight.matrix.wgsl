// Gradients of convolution, ReLU and max-pooling over windows of 2x2 in half precision with respect to weights and bias, one
// partial sum for each chunk of samples, on matrix units.
//
//   weight_grad_partial[chunk,ky,kx,c,o] = sum over the chunk's windows n, y, x that have a maximum in channel o of
//       output_grad[n,y,x,o] * input[n, y * 2 + dy + ky - before, x * 2 + dx + kx - before, c]
//   bias_grad_partial[chunk,o]           = sum over the same of output_grad[n,y,x,o]
//
// where argmax holds dy * 2 + dx, with zeros outside the input; the chunks are added in order later. A matrix product: its rows
// are floats of the kernel, its columns channels, and what is summed over are positions, four to a window. Needs numbers of
// channels that are multiples of 4.
// Parts: matrix16 or matrix8, matrices, conv2d, runs, conv_relu_pool, tiles, texels_f16, chunks, grad_divisors_f16.
// CPU twin: ConvReluPoolBackwardWeight in src/ops/conv_relu_pool/half.rs.

@group(0) @binding(0) var<storage, read> input: array<Four>;  // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> output_grad: array<Four>;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(2) var<storage, read> argmax: array<u32>;  // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(3) var<storage, read_write> weight_grad_partial: array<vec4<f32>>;  // [chunks, ky, kx, c, o]
@group(0) @binding(4) var<storage, read_write> bias_grad_partial: array<f32>;  // [chunks, out_channels]

const LEFT_IS_TRANSPOSED = true;
const RIGHT_IS_TRANSPOSED = false;

/// The gradients of four biases, of every eighth window of the chunk.
var<private> bias_grad: vec4<f32>;

/// Four floats of the input, from float `k` of the kernel on, at a position of a window.
fn input_at(window: u32, end: u32, position: u32, k: u32) -> vec4<f16> {
    let n = window / pooled_area;
    // What is above and to the left of the map wraps round to huge numbers.
    let y = window / pooled_width % pooled_height * 2u + position / 2u + k / run - before;
    let column = (window % pooled_width * 2u + position % 2u - before) * in_channels + k % run;
    let inside = window < end && y < in_height && column < in_width * in_channels;
    return halves_of(select(vec2(0u), input[((n * in_height + y) * in_width * in_channels + column) / 4u], inside));
}

/// Puts the gradients of four channels at a window's four positions, of which in each channel at most one is not 0, into the
/// right factor.
fn put_grads(depth: u32, column: u32, window: u32, end: u32, o: u32) {
    let i = window * quads + o / 4u;
    let grads = halves_of(select(vec2(0u), output_grad[i], window < end && o < out_channels));
    let codes = unpack4xU8(argmax[i]);
    bias_grad += select(vec4<f32>(grads), vec4(0.0), codes == vec4(255u));
    for (var place = 0u; place < 4u; place++) {
        put_right((depth + place) * COLUMNS + column, select(vec4(0.0h), grads, codes == vec4(place)));
    }
}

/// Both factors at eight windows of the chunk.
fn stage(slab: u32, tile: vec3<u32>, local: u32) {
    let end = end_of_chunk(tile.z) * pooled_area;
    let first = tile.z * samples_per_chunk * pooled_area + slab * (SLAB / 4u);
    for (var turn = 0u; turn * workgroup_size < SLAB * ROWS / 4u; turn++) {
        let i = (turn * workgroup_size + local) * 4u;
        put_left(i, input_at(first + i / ROWS / 4u, end, i / ROWS % 4u, tile.x + i % ROWS));
    }
    // Each turn of a workgroup's subgroups begins anew.
    if slab == 0u { bias_grad = vec4(0.0); }
    let i = local * 4u;
    if i < SLAB / 4u * COLUMNS {
        put_grads(i / COLUMNS * 4u, i % COLUMNS, first + i / COLUMNS, end, tile.y + i % COLUMNS);
    }
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_backward_weight(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let chunk = group.z;
    let tile = vec3(group.x * ROWS, group.y * COLUMNS, chunk);
    let positions = (end_of_chunk(chunk) - chunk * samples_per_chunk) * pooled_area * 4u;
    multiply((positions + SLAB - 1u) / SLAB, tile, local, subgroup, subgroups);
    for (var turn = 0u; turn * workgroup_size < ROWS * COLUMNS / 4u; turn++) {
        let i = (turn * workgroup_size + local) * 4u;
        let k = tile.x + i / COLUMNS;
        let o = tile.y + i % COLUMNS;
        if k < kernel * run && o < out_channels {
            weight_grad_partial[(chunk * kernel * run + k) * quads + o / 4u] = sums_at(i) / parameter_divisor;
        }
    }
    workgroupBarrier();
    if local * 4u < SLAB / 4u * COLUMNS {
        for (var j = 0u; j < 4u; j++) { sums[local * 4u + j] = bias_grad[j]; }
    }
    workgroupBarrier();
    let o = tile.y + local;
    if tile.x == 0u && local < COLUMNS && o < out_channels {
        var sum = 0.0;
        for (var j = 0u; j < SLAB / 4u; j++) { sum += sums[j * COLUMNS + local]; }
        bias_grad_partial[chunk * out_channels + o] = sum / parameter_divisor;
    }
}
