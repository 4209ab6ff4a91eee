// Convolution with stride 1 and bias, ReLU and max-pooling over windows of 2x2, in half precision on matrix units.
//
//   map[n,y,x,o]      = bias[o] + sum over ky, kx, c of input[n, y + ky - before, x + kx - before, c] * weight[ky,kx,c,o]
//   output[n,y,x,o]   = max(0, max over dy, dx of map[n, y * 2 + dy, x * 2 + dx, o])
//   argmax[n,y,x,o/4] = for each of four channels a byte: dy * 2 + dx of the first of the largest, 255 where it is not above 0
//
// with zeros outside the input. A matrix product: its rows are positions, four to a window, its columns channels, and what is
// summed over are the floats of the kernel. Needs numbers of channels that are multiples of 4.
//
// Parts: matrix16 or matrix8, matrices, conv2d, runs, conv_relu_pool, tiles, texels_f16, maxima, maxima_fours.
// CPU twin: ConvReluPoolForward in src/ops/conv_relu_pool/half.rs.

@group(0) @binding(0) var<storage, read> input: array<Four>;      // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> weight: array<Four>;     // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;  // [out_channels]

const LEFT_IS_TRANSPOSED = false;
const RIGHT_IS_TRANSPOSED = false;

override floats: u32 = kernel * run;  // of the kernel

/// Four floats of the input, for a position and from float `k` of the kernel on.
fn input_at(position: u32, k: u32) -> vec4<f16> {
    let window = position / 4u;
    let n = window / pooled_area;
    // What is above and to the left of the map wraps round to huge numbers.
    let y = window / pooled_width % pooled_height * 2u + position / 2u % 2u + k / run - before;
    let column = (window % pooled_width * 2u + position % 2u - before) * in_channels + k % run;
    let inside = k < floats && window < windows && y < in_height && column < in_width * in_channels;
    return halves_of(select(vec2(0u), input[((n * in_height + y) * in_width * in_channels + column) / 4u], inside));
}

/// The weights of four channels for float `k` of the kernel.
fn weight_at(k: u32, o: u32) -> vec4<f16> {
    return halves_of(select(vec2(0u), weight[k * quads + o / 4u], k < floats && o < out_channels));
}

fn stage(slab: u32, tile: vec3<u32>, local: u32) {
    for (var turn = 0u; turn * workgroup_size < ROWS * SLAB / 4u; turn++) {
        let i = (turn * workgroup_size + local) * 4u;
        put_left(i, input_at(tile.x + i / SLAB, slab * SLAB + i % SLAB));
    }
    for (var turn = 0u; turn * workgroup_size < SLAB * COLUMNS / 4u; turn++) {
        let i = (turn * workgroup_size + local) * 4u;
        put_right(i, weight_at(slab * SLAB + i / COLUMNS, tile.y + i % COLUMNS));
    }
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let tile = vec3(tile_index(group, groups) * ROWS, group.z * COLUMNS, 0u);
    multiply((floats + SLAB - 1u) / SLAB, tile, local, subgroup, subgroups);
    for (var turn = 0u; turn * workgroup_size < SIZE * COLUMNS / 4u; turn++) {
        let i = (turn * workgroup_size + local) * 4u;
        if i >= SIZE * COLUMNS { break; }
        // Four rows are the positions of a window.
        let row = i / COLUMNS * 4u;
        let quad = (tile.y + i % COLUMNS) / 4u;
        let at = row * COLUMNS + i % COLUMNS;
        let four = bias[quad];
        let map = mat4x4(sums_at(at), sums_at(at + COLUMNS), sums_at(at + 2u * COLUMNS), sums_at(at + 3u * COLUMNS));
        store((tile.x + row) / 4u, quad, map + mat4x4(four, four, four, four));
    }
}
