// Gradient of convolution, ReLU and max-pooling over windows of 2x2 in half precision with respect to the input, on matrix units.
//
//   input_grad[n,y,x,c] = sum over ky, kx, o of map_grad[n, y + before - ky, x + before - kx, o] * weight[ky,kx,c,o]
//
// where map_grad is output_grad at the places of the windows' maxima, as argmax holds them, and 0 elsewhere. A matrix product:
// its rows are positions of the input, its columns input channels, and what is summed over are the output channels of each
// position of the kernel. Needs numbers of channels that are multiples of 4.
//
// Parts: matrix16 or matrix8, matrices, conv2d, runs, conv_relu_pool, tiles, texels_f16.
// CPU twin: ConvReluPoolBackwardInput in src/ops/conv_relu_pool/half.rs.

@group(0) @binding(0) var<storage, read> output_grad: array<Four>;       // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(1) var<storage, read> argmax: array<u32>;             // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(2) var<storage, read> weight: array<Four>;            // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(3) var<storage, read_write> input_grad: array<Four>;  // [batch, in_height, in_width, in_channels]

const LEFT_IS_TRANSPOSED = false;
const RIGHT_IS_TRANSPOSED = true;

override positions: u32 = batch * in_height * in_width;
override slabs: u32 = (out_channels + SLAB - 1u) / SLAB;  // of a position of the kernel

/// The gradients of four channels of the map, as a position of the input meets them through `tap`.
fn grads_at(position: u32, tap: u32, o: u32) -> vec4<f16> {
    let n = position / (in_height * in_width);
    // What is above and to the left of the map wraps round to huge numbers.
    let y = position / in_width % in_height + before - tap / kernel;
    let x = position % in_width + before - tap % kernel;
    let inside = position < positions && o < out_channels && y < pooled_height * 2u && x < pooled_width * 2u;
    let i = ((n * pooled_height + y / 2u) * pooled_width + x / 2u) * quads + o / 4u;
    let grads = halves_of(select(vec2(0u), output_grad[i], inside));
    return select(vec4(0.0h), grads, unpack4xU8(argmax[i]) == vec4(y % 2u * 2u + x % 2u));
}

/// The weights of four output channels for an input channel.
fn weight_at(tap: u32, c: u32, o: u32) -> vec4<f16> {
    let inside = c < in_channels && o < out_channels;
    return halves_of(select(vec2(0u), weight[(tap * in_channels + c) * quads + o / 4u], inside));
}

fn stage(slab: u32, tile: vec3<u32>, local: u32) {
    let tap = slab / slabs;
    let first = slab % slabs * SLAB;
    for (var turn = 0u; turn * workgroup_size < ROWS * SLAB / 4u; turn++) {
        let i = (turn * workgroup_size + local) * 4u;
        put_left(i, grads_at(tile.x + i / SLAB, tap, first + i % SLAB));
    }
    for (var turn = 0u; turn * workgroup_size < COLUMNS * SLAB / 4u; turn++) {
        let i = (turn * workgroup_size + local) * 4u;
        put_right(i, weight_at(tap, tile.y + i / SLAB, first + i % SLAB));
    }
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_backward_input(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let tile = vec3(tile_index(group, groups) * ROWS, group.z * COLUMNS, 0u);
    multiply(kernel * kernel * slabs, tile, local, subgroup, subgroups);
    for (var turn = 0u; turn * workgroup_size < ROWS * COLUMNS / 4u; turn++) {
        let i = (turn * workgroup_size + local) * 4u;
        let position = tile.x + i / COLUMNS;
        let c = tile.y + i % COLUMNS;
        if position < positions && c < in_channels {
            input_grad[(position * in_channels + c) / 4u] = packed(sums_at(i));
        }
    }
}
