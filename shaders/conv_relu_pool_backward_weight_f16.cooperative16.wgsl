// Gradients of convolution, ReLU and max-pooling over windows of 2x2 in half precision with respect to weights and bias, one
// partial sum for each chunk of samples, on matrix units of 16x16.
//
//   weight_grad_partial[chunk,ky,kx,c,o] = sum over the chunk's windows n, y, x that have a maximum in channel o of
//       output_grad[n,y,x,o] * input[n, y * 2 + dy + ky - before, x * 2 + dx + kx - before, c]
//   bias_grad_partial[chunk,o]           = sum over the same of output_grad[n,y,x,o]
//
// where argmax holds dy * 2 + dx, with zeros outside the input; the chunks are added in order later. A matrix product: its rows
// are floats of the kernel, its columns channels, and what is summed over are positions, four to a window and 32 in a slab. A
// workgroup puts the slabs of both factors together in workgroup memory; a subgroup multiplies the rows of one unit, half of
// the workgroup's, by all of its columns, and sums are added up in 32 bits. 16-bit floats lie two to a word, the first in the
// lower bits. What is stored are the gradients of the batch's mean loss: output_grad is that of its sum, times loss_scale. Needs
// cooperative matrices of 16x16, and numbers of channels that are multiples of 4, so that four are read at once.
// CPU twin: ConvReluPoolBackwardWeight in src/ops/conv_relu_pool/half.rs.

enable f16;
enable wgpu_cooperative_matrix;

const SIZE: u32 = 16u;
const ROWS: u32 = 4u * SIZE;
const COLUMNS: u32 = 2u * SIZE;
const SLAB: u32 = 32u;
const UNITS: u32 = 2u;

override batch: u32;
override in_channels: u32;
override in_height: u32;
override in_width: u32;
override out_channels: u32;
override kernel: u32;
override padding: u32;
override pool: u32;  // 2
override samples_per_chunk: u32;
override loss_scale: f32;
override workgroup_size: u32;  // 64

override before: u32 = padding / 2u;
override pooled_height: u32 = (in_height + padding - kernel + 1u) / 2u;
override pooled_width: u32 = (in_width + padding - kernel + 1u) / 2u;
override windows: u32 = pooled_height * pooled_width;  // of a sample
override quads: u32 = out_channels / 4u;
override run: u32 = kernel * in_channels;  // the floats of a row of the kernel

@group(0) @binding(0) var<storage, read> input: array<vec2<u32>>;                      // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> output_grad: array<vec2<u32>>;                // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(2) var<storage, read> argmax: array<u32>;                           // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(3) var<storage, read_write> weight_grad_partial: array<vec4<f32>>;  // [chunks, kernel, kernel, in_channels, out_channels]
@group(0) @binding(4) var<storage, read_write> bias_grad_partial: array<f32>;          // [chunks, out_channels]

var<workgroup> left: array<f16, SLAB * ROWS>;      // [SLAB, ROWS]: a transposed factor
var<workgroup> right: array<f16, SLAB * COLUMNS>;  // [SLAB, COLUMNS]
var<workgroup> sums: array<f32, ROWS * COLUMNS>;   // [ROWS, COLUMNS]

/// Puts four floats of the input, from float `k` of the kernel on, at a position of a window into the left factor.
fn stage_input(depth: u32, row: u32, window: u32, end: u32, k: u32) {
    let n = window / windows;
    // What is above and to the left of the map wraps round to huge numbers.
    let y = window / pooled_width % pooled_height * 2u + depth / 2u % 2u + k / run - before;
    let column = (window % pooled_width * 2u + depth % 2u - before) * in_channels + k % run;
    let inside = window < end && y < in_height && column < in_width * in_channels;
    let words = select(vec2(0u), input[((n * in_height + y) * in_width * in_channels + column) / 4u], inside);
    let values = vec4<f16>(vec4(unpack2x16float(words.x), unpack2x16float(words.y)));
    let i = depth * ROWS + row;
    left[i] = values.x;
    left[i + 1u] = values.y;
    left[i + 2u] = values.z;
    left[i + 3u] = values.w;
}

/// Puts the gradients of four channels at a window's four positions, of which in each channel at most one is not 0, into the
/// right factor.
fn stage_grads(depth: u32, column: u32, window: u32, end: u32, o: u32) {
    let inside = window < end && o < out_channels;
    let words = select(vec2(0u), output_grad[window * quads + o / 4u], inside);
    let values = vec4<f16>(vec4(unpack2x16float(words.x), unpack2x16float(words.y)));
    let code = unpack4xU8(argmax[window * quads + o / 4u]);
    for (var place = 0u; place < 4u; place++) {
        let grads = select(vec4(0.0h), values, code == vec4(place));
        let i = (depth + place) * COLUMNS + column;
        right[i] = grads.x;
        right[i + 1u] = grads.y;
        right[i + 2u] = grads.z;
        right[i + 3u] = grads.w;
    }
}

/// Both factors at the eight windows from `window` on.
fn stage(window: u32, end: u32, first_row: u32, first_channel: u32, local: u32) {
    for (var turn = 0u; turn * workgroup_size < SLAB * ROWS / 4u; turn++) {
        let i = (turn * workgroup_size + local) * 4u;
        stage_input(i / ROWS, i % ROWS, window + i / ROWS / 4u, end, first_row + i % ROWS);
    }
    for (var turn = 0u; turn * workgroup_size < SLAB * COLUMNS / 16u; turn++) {
        let i = (turn * workgroup_size + local) * 4u;
        if i >= SLAB / 4u * COLUMNS { break; }
        stage_grads(i / COLUMNS * 4u, i % COLUMNS, window + i / COLUMNS, end, first_channel + i % COLUMNS);
    }
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_backward_weight_f16(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let first_row = group.x * ROWS;
    let first_channel = group.y * COLUMNS;
    let start = group.z * samples_per_chunk * windows;
    let end = min(start + samples_per_chunk * windows, batch * windows);
    let share = 1.0 / (loss_scale * f32(batch));
    var bias_grad = 0.0;
    // Where the workgroup has fewer subgroups than units, these take turns.
    for (var round = 0u; round * subgroups < UNITS; round++) {
        let unit = round * subgroups + subgroup;
        let row = unit * 2u * SIZE;
        var c00 = coop_mat16x16<f32, C>();
        var c01 = coop_mat16x16<f32, C>();
        var c10 = coop_mat16x16<f32, C>();
        var c11 = coop_mat16x16<f32, C>();
        for (var slab = 0u; start + slab * (SLAB / 4u) < end; slab++) {
            workgroupBarrier();
            stage(start + slab * (SLAB / 4u), end, first_row, first_channel, local);
            workgroupBarrier();
            if round == 0u && local < COLUMNS {
                for (var depth = 0u; depth < SLAB; depth++) { bias_grad += f32(right[depth * COLUMNS + local]); }
            }
            if unit >= UNITS { continue; }
            for (var block = 0u; block * SIZE < SLAB; block++) {
                let depth = block * SIZE;
                let a0 = coopLoad<coop_mat16x16<f16, A>>(&left[depth * ROWS + row], ROWS);
                let a1 = coopLoad<coop_mat16x16<f16, A>>(&left[depth * ROWS + row + SIZE], ROWS);
                let b0 = coopLoadT<coop_mat16x16<f16, B>>(&right[depth * COLUMNS], COLUMNS);
                let b1 = coopLoadT<coop_mat16x16<f16, B>>(&right[depth * COLUMNS + SIZE], COLUMNS);
                c00 = coopMultiplyAdd(a0, b0, c00);
                c01 = coopMultiplyAdd(a0, b1, c01);
                c10 = coopMultiplyAdd(a1, b0, c10);
                c11 = coopMultiplyAdd(a1, b1, c11);
            }
        }
        if unit < UNITS {
            coopStoreT(c00, &sums[row * COLUMNS], COLUMNS);
            coopStoreT(c01, &sums[row * COLUMNS + SIZE], COLUMNS);
            coopStoreT(c10, &sums[(row + SIZE) * COLUMNS], COLUMNS);
            coopStoreT(c11, &sums[(row + SIZE) * COLUMNS + SIZE], COLUMNS);
        }
    }
    workgroupBarrier();
    for (var turn = 0u; turn * workgroup_size < ROWS * COLUMNS / 4u; turn++) {
        let i = (turn * workgroup_size + local) * 4u;
        let k = first_row + i / COLUMNS;
        let o = first_channel + i % COLUMNS;
        if k < kernel * run && o < out_channels {
            let grads = vec4(sums[i], sums[i + 1u], sums[i + 2u], sums[i + 3u]);
            weight_grad_partial[(group.z * kernel * run + k) * quads + o / 4u] = grads * share;
        }
    }
    let o = first_channel + local;
    if first_row == 0u && local < COLUMNS && o < out_channels {
        bias_grad_partial[group.z * out_channels + o] = bias_grad * share;
    }
}
