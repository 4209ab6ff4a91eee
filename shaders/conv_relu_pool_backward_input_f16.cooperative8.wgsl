// Gradient of convolution, ReLU and max-pooling over windows of 2x2 in half precision with respect to the input, on matrix units
// of 8x8.
//
//   input_grad[n,y,x,c] = sum over ky, kx, o of map_grad[n, y + before - ky, x + before - kx, o] * weight[ky,kx,c,o]
//
// where map_grad is output_grad at the places of the windows' maxima, as argmax holds them, and 0 elsewhere. A matrix product:
// its rows are positions of the input, its columns input channels, and what is summed over are the output channels of each
// position of the kernel, 32 in a slab. A workgroup puts the slabs of both factors together in workgroup memory; a subgroup
// multiplies the rows of one unit, half of the workgroup's, by all of its columns, and sums are added up in 32 bits. 16-bit
// floats lie two to a word, the first in the lower bits. Both gradients are those of the batch's
// summed loss, times the loss scale. Needs cooperative matrices of 8x8, and numbers of channels that are multiples of 4, so that
// four are read at once. CPU twin: ConvReluPoolBackwardInput in src/ops/conv_relu_pool/half.rs.

enable f16;
enable wgpu_cooperative_matrix;

const SIZE: u32 = 8u;
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
override workgroup_size: u32;  // 64

override before: u32 = padding / 2u;
override pooled_height: u32 = (in_height + padding - kernel + 1u) / 2u;
override pooled_width: u32 = (in_width + padding - kernel + 1u) / 2u;
override positions: u32 = batch * in_height * in_width;
override quads: u32 = out_channels / 4u;
override slabs: u32 = (out_channels + SLAB - 1u) / SLAB;  // of a position of the kernel

@group(0) @binding(0) var<storage, read> output_grad: array<vec2<u32>>;       // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(1) var<storage, read> argmax: array<u32>;                  // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(2) var<storage, read> weight: array<vec2<u32>>;            // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(3) var<storage, read_write> input_grad: array<vec2<u32>>;  // [batch, in_height, in_width, in_channels]

var<workgroup> left: array<f16, ROWS * SLAB>;      // [ROWS, SLAB]
var<workgroup> right: array<f16, COLUMNS * SLAB>;  // [COLUMNS, SLAB]: a transposed factor
var<workgroup> sums: array<f32, ROWS * COLUMNS>;   // [ROWS, COLUMNS]

/// Puts the gradients of four channels of the map, as a position of the input meets them through `tap`, into the left factor.
fn stage_grads(row: u32, depth: u32, position: u32, tap: u32, o: u32) {
    let n = position / (in_height * in_width);
    // What is above and to the left of the map wraps round to huge numbers.
    let y = position / in_width % in_height + before - tap / kernel;
    let x = position % in_width + before - tap % kernel;
    let inside = position < positions && o < out_channels && y < pooled_height * 2u && x < pooled_width * 2u;
    let window = (n * pooled_height + y / 2u) * pooled_width + x / 2u;
    let words = select(vec2(0u), output_grad[window * quads + o / 4u], inside);
    let code = unpack4xU8(argmax[window * quads + o / 4u]);
    let grads = vec4<f16>(vec4(unpack2x16float(words.x), unpack2x16float(words.y)));
    let values = select(vec4(0.0h), grads, code == vec4(y % 2u * 2u + x % 2u));
    let i = row * SLAB + depth;
    left[i] = values.x;
    left[i + 1u] = values.y;
    left[i + 2u] = values.z;
    left[i + 3u] = values.w;
}

/// Puts the weights of four output channels for an input channel into the right factor.
fn stage_weight(column: u32, depth: u32, tap: u32, c: u32, o: u32) {
    let inside = c < in_channels && o < out_channels;
    let words = select(vec2(0u), weight[(tap * in_channels + c) * quads + o / 4u], inside);
    let values = vec4<f16>(vec4(unpack2x16float(words.x), unpack2x16float(words.y)));
    let i = column * SLAB + depth;
    right[i] = values.x;
    right[i + 1u] = values.y;
    right[i + 2u] = values.z;
    right[i + 3u] = values.w;
}

fn stage(slab: u32, first_position: u32, first_channel: u32, local: u32) {
    let tap = slab / slabs;
    let first = slab % slabs * SLAB;
    for (var turn = 0u; turn * workgroup_size < ROWS * SLAB / 4u; turn++) {
        let i = (turn * workgroup_size + local) * 4u;
        stage_grads(i / SLAB, i % SLAB, first_position + i / SLAB, tap, first + i % SLAB);
    }
    for (var turn = 0u; turn * workgroup_size < COLUMNS * SLAB / 4u; turn++) {
        let i = (turn * workgroup_size + local) * 4u;
        stage_weight(i / SLAB, i % SLAB, tap, first_channel + i / SLAB, first + i % SLAB);
    }
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_backward_input_f16(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let first_position = (group.x + group.y * groups.x) * ROWS;
    let first_channel = group.z * COLUMNS;
    // Where the workgroup has fewer subgroups than units, these take turns.
    for (var round = 0u; round * subgroups < UNITS; round++) {
        let unit = round * subgroups + subgroup;
        let row = unit * 2u * SIZE;
        var c00 = coop_mat8x8<f32, C>();
        var c01 = coop_mat8x8<f32, C>();
        var c10 = coop_mat8x8<f32, C>();
        var c11 = coop_mat8x8<f32, C>();
        for (var slab = 0u; slab < kernel * kernel * slabs; slab++) {
            workgroupBarrier();
            stage(slab, first_position, first_channel, local);
            workgroupBarrier();
            if unit >= UNITS { continue; }
            for (var block = 0u; block * SIZE < SLAB; block++) {
                let depth = block * SIZE;
                let a0 = coopLoadT<coop_mat8x8<f16, A>>(&left[row * SLAB + depth], SLAB);
                let a1 = coopLoadT<coop_mat8x8<f16, A>>(&left[(row + SIZE) * SLAB + depth], SLAB);
                let b0 = coopLoad<coop_mat8x8<f16, B>>(&right[depth], SLAB);
                let b1 = coopLoad<coop_mat8x8<f16, B>>(&right[SIZE * SLAB + depth], SLAB);
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
        let position = first_position + i / COLUMNS;
        let c = first_channel + i % COLUMNS;
        if position < positions && c < in_channels {
            let grads = vec2(pack2x16float(vec2(sums[i], sums[i + 1u])), pack2x16float(vec2(sums[i + 2u], sums[i + 3u])));
            input_grad[(position * in_channels + c) / 4u] = grads;
        }
    }
}
