// Convolution with stride 1 and bias, ReLU and max-pooling over windows of 2x2, in half precision on matrix units of 16x16.
//
//   map[n,y,x,o]      = bias[o] + sum over ky, kx, c of input[n, y + ky - before, x + kx - before, c] * weight[ky,kx,c,o]
//   output[n,y,x,o]   = max(0, max over dy, dx of map[n, y * 2 + dy, x * 2 + dx, o])
//   argmax[n,y,x,o/4] = for each of four channels a byte: dy * 2 + dx of the first of the largest, 255 where it is not above 0
//
// with zeros outside the input. A matrix product: its rows are positions, four to a window, its columns channels, and what is
// summed over are the floats of the kernel, 32 in a slab. A workgroup puts the slabs of both factors together in workgroup
// memory; a subgroup multiplies the rows of one unit, half of the workgroup's, by all of its columns, and sums are added up in
// 32 bits. 16-bit floats lie two to a word, the first in the lower bits. Needs cooperative
// matrices of 16x16, and numbers of channels that are multiples of 4, so that four are read at once.
// CPU twin: ConvReluPoolForward in src/ops/conv_relu_pool/half.rs.

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
override workgroup_size: u32;  // 64

override before: u32 = padding / 2u;
override pooled_height: u32 = (in_height + padding - kernel + 1u) / 2u;
override pooled_width: u32 = (in_width + padding - kernel + 1u) / 2u;
override windows: u32 = batch * pooled_height * pooled_width;
override quads: u32 = out_channels / 4u;
override run: u32 = kernel * in_channels;  // the floats of a row of the kernel
override slabs: u32 = (kernel * run + SLAB - 1u) / SLAB;

@group(0) @binding(0) var<storage, read> input: array<vec2<u32>>;         // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> weight: array<vec2<u32>>;        // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;          // [out_channels]
@group(0) @binding(3) var<storage, read_write> output: array<vec2<u32>>;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(4) var<storage, read_write> argmax: array<u32>;        // [batch, pooled_height, pooled_width, quads]

var<workgroup> left: array<f16, ROWS * SLAB>;      // [ROWS, SLAB]
var<workgroup> right: array<f16, SLAB * COLUMNS>;  // [SLAB, COLUMNS]
var<workgroup> sums: array<f32, ROWS * COLUMNS>;   // [ROWS, COLUMNS]

/// Puts four floats of the input, for a position and from float `k` of the kernel on, into the left factor.
fn stage_input(row: u32, depth: u32, first_window: u32, k: u32) {
    let window = first_window + row / 4u;
    let n = window / (pooled_height * pooled_width);
    // What is above and to the left of the map wraps round to huge numbers.
    let y = window / pooled_width % pooled_height * 2u + row / 2u % 2u + k / run - before;
    let column = (window % pooled_width * 2u + row % 2u - before) * in_channels + k % run;
    let inside = k < kernel * run && window < windows && y < in_height && column < in_width * in_channels;
    let words = select(vec2(0u), input[((n * in_height + y) * in_width * in_channels + column) / 4u], inside);
    let values = vec4<f16>(vec4(unpack2x16float(words.x), unpack2x16float(words.y)));
    let i = row * SLAB + depth;
    left[i] = values.x;
    left[i + 1u] = values.y;
    left[i + 2u] = values.z;
    left[i + 3u] = values.w;
}

/// Puts the weights of four channels for float `k` of the kernel into the right factor.
fn stage_weight(depth: u32, column: u32, k: u32, o: u32) {
    let inside = k < kernel * run && o < out_channels;
    let words = select(vec2(0u), weight[(k * out_channels + o) / 4u], inside);
    let values = vec4<f16>(vec4(unpack2x16float(words.x), unpack2x16float(words.y)));
    let i = depth * COLUMNS + column;
    right[i] = values.x;
    right[i + 1u] = values.y;
    right[i + 2u] = values.z;
    right[i + 3u] = values.w;
}

fn stage(slab: u32, first_window: u32, first_channel: u32, local: u32) {
    for (var turn = 0u; turn * workgroup_size < ROWS * SLAB / 4u; turn++) {
        let i = (turn * workgroup_size + local) * 4u;
        stage_input(i / SLAB, i % SLAB, first_window, slab * SLAB + i % SLAB);
    }
    for (var turn = 0u; turn * workgroup_size < SLAB * COLUMNS / 4u; turn++) {
        let i = (turn * workgroup_size + local) * 4u;
        stage_weight(i / COLUMNS, i % COLUMNS, slab * SLAB + i / COLUMNS, first_channel + i % COLUMNS);
    }
}

/// The sums of four channels at one of the tile's positions.
fn sums_at(row: u32, column: u32) -> vec4<f32> {
    let i = row * COLUMNS + column;
    return vec4(sums[i], sums[i + 1u], sums[i + 2u], sums[i + 3u]);
}

/// Bias, ReLU and maximum of four channels of one of the tile's windows.
fn store(window: u32, row: u32, column: u32, o: u32) {
    if window >= windows || o >= out_channels { return; }
    let biases = bias[o / 4u];
    let map0 = sums_at(row, column) + biases;
    let map1 = sums_at(row + 1u, column) + biases;
    let map2 = sums_at(row + 2u, column) + biases;
    let map3 = sums_at(row + 3u, column) + biases;
    // A later one takes over only where it is larger.
    let first_row = max(map0, map1);
    let second_row = max(map2, map3);
    let largest = max(first_row, second_row);
    let code_of_largest = select(select(vec4(0u), vec4(1u), map1 > map0), select(vec4(2u), vec4(3u), map3 > map2), second_row > first_row);
    let maxima = max(largest, vec4(0.0));
    let i = window * quads + o / 4u;
    output[i] = vec2(pack2x16float(maxima.xy), pack2x16float(maxima.zw));
    argmax[i] = pack4xU8(select(vec4(255u), code_of_largest, largest > vec4(0.0)));
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_forward_f16(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let first_window = (group.x + group.y * groups.x) * SIZE;
    let first_channel = group.z * COLUMNS;
    // Where the workgroup has fewer subgroups than units, these take turns.
    for (var round = 0u; round * subgroups < UNITS; round++) {
        let unit = round * subgroups + subgroup;
        let row = unit * 2u * SIZE;
        var c00 = coop_mat16x16<f32, C>();
        var c01 = coop_mat16x16<f32, C>();
        var c10 = coop_mat16x16<f32, C>();
        var c11 = coop_mat16x16<f32, C>();
        for (var slab = 0u; slab < slabs; slab++) {
            workgroupBarrier();
            stage(slab, first_window, first_channel, local);
            workgroupBarrier();
            if unit >= UNITS { continue; }
            for (var block = 0u; block * SIZE < SLAB; block++) {
                let depth = block * SIZE;
                let a0 = coopLoadT<coop_mat16x16<f16, A>>(&left[row * SLAB + depth], SLAB);
                let a1 = coopLoadT<coop_mat16x16<f16, A>>(&left[(row + SIZE) * SLAB + depth], SLAB);
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
    for (var turn = 0u; turn * workgroup_size < SIZE * COLUMNS / 4u; turn++) {
        let i = (turn * workgroup_size + local) * 4u;
        if i >= SIZE * COLUMNS { break; }
        store(first_window + i / COLUMNS, i / COLUMNS * 4u, i % COLUMNS, first_channel + i % COLUMNS);
    }
}
