// Gradient of convolution, ReLU and max-pooling over windows of 2x2 with respect to the input; a workgroup for a block of 2x2
// positions in 8 samples, in which each invocation has four neighbouring input channels: 8 tiles of 4 channels by the 4
// positions of the block, in registers.
//
//   input_grad[n,y,x,c] = sum over ky, kx, o of map_grad[n, y + before - ky, x + before - kx, o] * weight[ky,kx,c,o]
//
// where map_grad is output_grad at the places of the windows' maxima, as argmax holds them, and 0 elsewhere. Four output
// channels at a time, a tile takes one product of 4x4 matrices. All invocations need the same gradients at a time: each of
// the first 8 lanes loads those of one sample and broadcasts them to the others. Kernel positions that no window of the block
// can reach are left out. Needs subgroups of 8 lanes or more. Takes any number of channels.
// CPU twin: ConvReluPoolBackwardInput in src/ops/conv_relu_pool/gradients.rs.

override batch: u32;
override in_channels: u32;
override in_height: u32;
override in_width: u32;
override out_channels: u32;
override kernel: u32;
override padding: u32;
override pool: u32;  // 2
override workgroup_size: u32;
override texels_per_row: u32;

override before: u32 = padding / 2u;
override pooled_height: u32 = (in_height + padding - kernel + 1u) / 2u;
override pooled_width: u32 = (in_width + padding - kernel + 1u) / 2u;
override quads: u32 = (out_channels + 3u) / 4u;
override blocks_per_row: u32 = (in_width + 1u) / 2u;
override blocks: u32 = (in_height + 1u) / 2u * blocks_per_row;

@group(0) @binding(0) var output_grad: texture_storage_2d<rgba32float, read>;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(1) var argmax: texture_storage_2d<r32uint, read>;           // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(2) var weight: texture_storage_2d<rgba32float, read>;       // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(3) var<storage, read_write> input_grad: array<f32>;         // [batch, in_height, in_width, in_channels]

/// The place of texel `i` in a texture.
fn texel(i: u32) -> vec2<u32> {
    return vec2(i % texels_per_row, i / texels_per_row);
}

/// Four neighbouring floats out of two texels, the first at place `i % 4u` of the first texel.
fn four_of(here: vec4<f32>, next: vec4<f32>, i: u32) -> vec4<f32> {
    let moved = select(here, vec4(here.zw, next.xy), (i & 2u) != 0u);
    return select(moved, vec4(moved.yzw, select(next.x, next.z, (i & 2u) != 0u)), (i & 1u) != 0u);
}

/// Four neighbouring floats of `output_grad` from the `i`-th on; they may lie before the texture.
fn output_grad_four_at(i: u32) -> vec4<f32> {
    let first = u32(i32(i) >> 2u);
    return four_of(textureLoad(output_grad, texel(first)), textureLoad(output_grad, texel(first + 1u)), i);
}

/// Four neighbouring floats of `weight` from the `i`-th on; they may lie before the texture.
fn weight_four_at(i: u32) -> vec4<f32> {
    let first = u32(i32(i) >> 2u);
    return four_of(textureLoad(weight, texel(first)), textureLoad(weight, texel(first + 1u)), i);
}

/// The gradients of four channels of the map; positions above and to the left of it wrap round to huge numbers. A read
/// beyond a texture gives some number in WGSL, which here and below is not used; a missing channel's code is that of no position.
fn map_grad_at(n: u32, y: u32, x: u32, quad: u32) -> vec4<f32> {
    let inside = y < pooled_height * 2u && x < pooled_width * 2u;
    let window = (n * pooled_height + y / 2u) * pooled_width + x / 2u;
    let code = unpack4xU8(textureLoad(argmax, texel(window * quads + quad)).x);
    let i = window * out_channels + quad * 4u;
    let grad = output_grad_four_at(i);
    return select(vec4(0.0), grad, (code == vec4(y % 2u * 2u + x % 2u)) & vec4(inside));
}

/// The weights of four output channels for an input channel; what comes of one behind the last input channel is not stored.
fn weight_at(tap: u32, c: u32, quad: u32) -> vec4<f32> {
    let i = (tap * in_channels + c) * out_channels + quad * 4u;
    // Behind the last channel stands what need not be a number.
    let inside = vec4(quad * 4u) + vec4(0u, 1u, 2u, 3u) < vec4(out_channels);
    return select(vec4(0.0), weight_four_at(i), inside);
}

fn put(n: u32, y: u32, x: u32, in_quad: u32, values: vec4<f32>) {
    if n >= batch || y >= in_height || x >= in_width { return; }
    let i = ((n * in_height + y) * in_width + x) * in_channels + in_quad * 4u;
    let inside = vec4(in_quad * 4u) + vec4(0u, 1u, 2u, 3u) < vec4(in_channels);
    if inside.x { input_grad[i] = values.x; }
    if inside.y { input_grad[i + 1u] = values.y; }
    if inside.z { input_grad[i + 2u] = values.z; }
    if inside.w { input_grad[i + 3u] = values.w; }
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
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last channel help to load gradients, and store nothing.
    let in_quad = group.z * workgroup_size + local;
    let c = in_quad * 4u;
    let tile = group.x + group.y * groups.x;
    let first = tile / blocks * 8u;
    let n = first + lane % 8u;
    let y = tile % blocks / blocks_per_row * 2u;
    let x = tile % blocks_per_row * 2u;

    // The kernel positions for which the block's first row, or its second, is one of the map's.
    let map_y = y + before;
    let map_x = x + before;
    let first_ky = max(map_y + 1u, pooled_height * 2u) - pooled_height * 2u;
    let first_kx = max(map_x + 1u, pooled_width * 2u) - pooled_width * 2u;
    var s0 = mat4x4<f32>();
    var s1 = mat4x4<f32>();
    var s2 = mat4x4<f32>();
    var s3 = mat4x4<f32>();
    var s4 = mat4x4<f32>();
    var s5 = mat4x4<f32>();
    var s6 = mat4x4<f32>();
    var s7 = mat4x4<f32>();
    for (var ky = first_ky; ky < min(kernel, map_y + 2u); ky++) {
        for (var kx = first_kx; kx < min(kernel, map_x + 2u); kx++) {
            let tap = ky * kernel + kx;
            for (var quad = 0u; quad < quads; quad++) {
                let p0 = map_grad_at(n, map_y - ky, map_x - kx, quad);
                let p1 = map_grad_at(n, map_y - ky, map_x + 1u - kx, quad);
                let p2 = map_grad_at(n, map_y + 1u - ky, map_x - kx, quad);
                let p3 = map_grad_at(n, map_y + 1u - ky, map_x + 1u - kx, quad);
                let weights = transpose(mat4x4(weight_at(tap, c, quad), weight_at(tap, c + 1u, quad), weight_at(tap, c + 2u, quad), weight_at(tap, c + 3u, quad)));
                s0 += weights * mat4x4(subgroupBroadcast(p0, 0u), subgroupBroadcast(p1, 0u), subgroupBroadcast(p2, 0u), subgroupBroadcast(p3, 0u));
                s1 += weights * mat4x4(subgroupBroadcast(p0, 1u), subgroupBroadcast(p1, 1u), subgroupBroadcast(p2, 1u), subgroupBroadcast(p3, 1u));
                s2 += weights * mat4x4(subgroupBroadcast(p0, 2u), subgroupBroadcast(p1, 2u), subgroupBroadcast(p2, 2u), subgroupBroadcast(p3, 2u));
                s3 += weights * mat4x4(subgroupBroadcast(p0, 3u), subgroupBroadcast(p1, 3u), subgroupBroadcast(p2, 3u), subgroupBroadcast(p3, 3u));
                s4 += weights * mat4x4(subgroupBroadcast(p0, 4u), subgroupBroadcast(p1, 4u), subgroupBroadcast(p2, 4u), subgroupBroadcast(p3, 4u));
                s5 += weights * mat4x4(subgroupBroadcast(p0, 5u), subgroupBroadcast(p1, 5u), subgroupBroadcast(p2, 5u), subgroupBroadcast(p3, 5u));
                s6 += weights * mat4x4(subgroupBroadcast(p0, 6u), subgroupBroadcast(p1, 6u), subgroupBroadcast(p2, 6u), subgroupBroadcast(p3, 6u));
                s7 += weights * mat4x4(subgroupBroadcast(p0, 7u), subgroupBroadcast(p1, 7u), subgroupBroadcast(p2, 7u), subgroupBroadcast(p3, 7u));
            }
        }
    }
    store(first, y, x, in_quad, s0);
    store(first + 1u, y, x, in_quad, s1);
    store(first + 2u, y, x, in_quad, s2);
    store(first + 3u, y, x, in_quad, s3);
    store(first + 4u, y, x, in_quad, s4);
    store(first + 5u, y, x, in_quad, s5);
    store(first + 6u, y, x, in_quad, s6);
    store(first + 7u, y, x, in_quad, s7);
}
