// Gradient of convolution, ReLU and max-pooling over windows of 2x2 with respect to the input, for GPUs; a workgroup for a tile
// of a block of 2x2 positions in 32 samples by some quads of input channels, of which each invocation has two samples and four
// channels: 2 tiles of 4 channels by the 4 positions of the block, in registers.
//
//   input_grad[n,y,x,c] = sum over ky, kx, o of map_grad[n, y + before - ky, x + before - kx, o] * weight[ky,kx,c,o]
//
// where map_grad is output_grad at the places of the windows' maxima, as argmax holds them, and 0 elsewhere. Some quads of
// output channels at a kernel position at a time, the workgroup loads the gradients and the weights of its tile into its
// memory; then each output channel is an outer product of four weights and a block's four gradients. Kernel positions that no
// window of the block can reach are left out. Needs numbers of channels that are multiples of 4.
// CPU twin: ConvReluPoolBackwardInput in src/ops/conv_relu_pool/gradients.rs.

override batch: u32;
override in_channels: u32;
override in_height: u32;
override in_width: u32;
override out_channels: u32;
override kernel: u32;
override padding: u32;
override pool: u32;  // 2
override slice: u32;  // quads of output channels in the workgroup's memory at a time, at most as many as lanes
override workgroup_size: u32;  // lanes times the tile's quads

/// Invocations that share a quad of input channels.
const lanes = 16u;
const tile_samples = 2u * lanes;
/// The distance of two output channels in `grads`: neighbouring ones lie in different banks of the memory.
const pitch = tile_samples + 1u;

override before: u32 = padding / 2u;
override pooled_height: u32 = (in_height + padding - kernel + 1u) / 2u;
override pooled_width: u32 = (in_width + padding - kernel + 1u) / 2u;
override quads: u32 = out_channels / 4u;
override in_quads: u32 = in_channels / 4u;
override tile_quads: u32 = workgroup_size / lanes;
override blocks_per_row: u32 = (in_width + 1u) / 2u;
override blocks: u32 = (in_height + 1u) / 2u * blocks_per_row;

@group(0) @binding(0) var<storage, read> output_grad: array<vec4<f32>>;       // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(1) var<storage, read> argmax: array<u32>;                  // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;            // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(3) var<storage, read_write> input_grad: array<vec4<f32>>;  // [batch, in_height, in_width, in_channels]

/// For each output channel of the slice, the gradients of the blocks' four positions.
var<workgroup> grads: array<vec4<f32>, 4u * slice * pitch>;
/// For each output channel of the slice, the weights of the tile's input channels.
var<workgroup> weights: array<vec4<f32>, 4u * slice * tile_quads>;

/// The gradients of four channels of the map, 0 outside it and behind the last channel; positions above and to the left of
/// it wrap round to huge numbers. A read beyond a buffer gives some number in WGSL, which here and below is not used.
fn map_grad_at(n: u32, y: u32, x: u32, quad: u32) -> vec4<f32> {
    let inside = y < pooled_height * 2u && x < pooled_width * 2u && quad < quads;
    let i = ((n * pooled_height + y / 2u) * pooled_width + x / 2u) * quads + quad;
    return select(vec4(0.0), output_grad[i], (unpack4xU8(argmax[i]) == vec4(y % 2u * 2u + x % 2u)) & vec4(inside));
}

/// The gradients of four output channels, a column for each, at the four positions of a block.
fn grads_at(n: u32, y: u32, x: u32, quad: u32) -> mat4x4<f32> {
    return transpose(mat4x4(
        map_grad_at(n, y, x, quad),
        map_grad_at(n, y, x + 1u, quad),
        map_grad_at(n, y + 1u, x, quad),
        map_grad_at(n, y + 1u, x + 1u, quad),
    ));
}

/// The weights of four output channels, a column for each, for four input channels; those of the last quad of output
/// channels where there is none, which its zeros take away.
fn weights_at(tap: u32, in_quad: u32, quad: u32) -> mat4x4<f32> {
    let i = (tap * in_channels + in_quad * 4u) * quads + min(quad, quads - 1u);
    return transpose(mat4x4(weight[i], weight[i + quads], weight[i + 2u * quads], weight[i + 3u * quads]));
}

fn outer(weight: vec4<f32>, grads: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(weight * grads.x, weight * grads.y, weight * grads.z, weight * grads.w);
}

fn put(n: u32, y: u32, x: u32, in_quad: u32, grads: vec4<f32>) {
    if n >= batch || y >= in_height || x >= in_width || in_quad >= in_quads { return; }
    input_grad[((n * in_height + y) * in_width + x) * in_quads + in_quad] = grads;
}

fn store(n: u32, y: u32, x: u32, in_quad: u32, grads: mat4x4<f32>) {
    put(n, y, x, in_quad, grads[0]);
    put(n, y, x + 1u, in_quad, grads[1]);
    put(n, y + 1u, x, in_quad, grads[2]);
    put(n, y + 1u, x + 1u, in_quad, grads[3]);
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_backward_input(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // No invocation may leave early: those beyond the last sample or channel help to load, and store nothing.
    let tile = group.x + group.y * groups.x;
    let first_sample = tile / blocks * tile_samples;
    let first_in_quad = group.z * tile_quads;
    let y = tile % blocks / blocks_per_row * 2u;
    let x = tile % blocks_per_row * 2u;
    let in_quad = local % tile_quads;
    let lane = local / tile_quads;

    // The kernel positions for which the block's first row, or its second, is one of the map's.
    let map_y = y + before;
    let map_x = x + before;
    let first_ky = max(map_y + 1u, pooled_height * 2u) - pooled_height * 2u;
    let first_kx = max(map_x + 1u, pooled_width * 2u) - pooled_width * 2u;
    var s0 = mat4x4<f32>();
    var s1 = mat4x4<f32>();
    for (var ky = first_ky; ky < min(kernel, map_y + 2u); ky++) {
        for (var kx = first_kx; kx < min(kernel, map_x + 2u); kx++) {
            for (var first = 0u; first < quads; first += slice) {
                for (var i = local; i < slice * tile_samples; i += workgroup_size) {
                    let four = grads_at(first_sample + i / slice, map_y - ky, map_x - kx, first + i % slice);
                    let place = i % slice * 4u * pitch + i / slice;
                    grads[place] = four[0];
                    grads[place + pitch] = four[1];
                    grads[place + 2u * pitch] = four[2];
                    grads[place + 3u * pitch] = four[3];
                }
                if lane < slice {
                    let four = weights_at(ky * kernel + kx, first_in_quad + in_quad, first + lane);
                    let place = lane * 4u * tile_quads + in_quad;
                    weights[place] = four[0];
                    weights[place + tile_quads] = four[1];
                    weights[place + 2u * tile_quads] = four[2];
                    weights[place + 3u * tile_quads] = four[3];
                }
                workgroupBarrier();
                for (var o = 0u; o < 4u * slice; o++) {
                    let factors = weights[o * tile_quads + in_quad];
                    s0 += outer(factors, grads[o * pitch + lane]);
                    s1 += outer(factors, grads[o * pitch + lane + lanes]);
                }
                workgroupBarrier();
            }
        }
    }
    store(first_sample + lane, y, x, first_in_quad + in_quad, s0);
    store(first_sample + lane + lanes, y, x, first_in_quad + in_quad, s1);
}
