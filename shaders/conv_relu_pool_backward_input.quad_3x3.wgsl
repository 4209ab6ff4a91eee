// Gradient of convolution by kernels of 3x3, ReLU and max-pooling over windows of 2x2 with respect to the input; a workgroup for
// a block of 2x2 positions in 16 samples, in which each invocation has four neighbouring input channels: 16 tiles of 4 channels
// by the 4 positions of the block, in registers.
//
//   input_grad[n,y,x,c] = sum over ky, kx, o of map_grad[n, y + before - ky, x + before - kx, o] * weight[ky,kx,c,o]
//
// where map_grad is output_grad at the places of the windows' maxima, as argmax holds them, and 0 elsewhere. Blocks begin where
// windows do, so that the 4x4 positions of the map that reach a block are those of 2x2 windows. Four output channels at a time,
// all nine positions of the kernel are unrolled, so that a gradient once loaded serves in all of its products: each of the
// first 8 lanes loads the windows of one sample, which are broadcast to the others, then those of another. Needs subgroups of 8
// lanes or more, and numbers of channels that are multiples of 4.
// CPU twin: ConvReluPoolBackwardInput in src/ops/conv_relu_pool/gradients.rs.

override batch: u32;
override in_channels: u32;
override in_height: u32;
override in_width: u32;
override out_channels: u32;
override kernel: u32;  // 3
override padding: u32;
override pool: u32;  // 2
override workgroup_size: u32;

override before: u32 = padding / 2u;
override shift: u32 = before % 2u;  // positions that the first block has beyond the input
override pooled_height: u32 = (in_height + padding - kernel + 1u) / pool;
override pooled_width: u32 = (in_width + padding - kernel + 1u) / pool;
override in_quads: u32 = in_channels / 4u;
override quads: u32 = out_channels / 4u;
override blocks_per_row: u32 = (in_width + shift + 1u) / 2u;
override blocks: u32 = (in_height + shift + 1u) / 2u * blocks_per_row;

@group(0) @binding(0) var<storage, read> output_grad: array<vec4<f32>>;       // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(1) var<storage, read> argmax: array<u32>;                  // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;            // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(3) var<storage, read_write> input_grad: array<vec4<f32>>;  // [batch, in_height, in_width, in_channels]

/// Gradients of four channels of the map's 4x4 positions that reach the block in a lane's sample, row by row.
var<private> seen: array<vec4<f32>, 16>;

/// For each position of the kernel, the last first, the weights of four input channels for each of four output channels.
var<private> weights: array<mat4x4<f32>, 9>;

fn is_window(y: u32, x: u32) -> bool {
    return y < pooled_height && x < pooled_width;
}

/// The four positions of a window, the first of them at `i`. Windows above and to the left of the map wrap round to huge numbers;
/// a read beyond a buffer gives some number in WGSL, which here and below is not used.
fn load_window(i: u32, n: u32, y: u32, x: u32, quad: u32) {
    let at = ((n * pooled_height + y) * pooled_width + x) * quads + quad;
    let code = unpack4xU8(argmax[at]);
    let grad = output_grad[at];
    let inside = vec4(is_window(y, x));
    seen[i] = select(vec4(0.0), grad, (code == vec4(0u)) & inside);
    seen[i + 1u] = select(vec4(0.0), grad, (code == vec4(1u)) & inside);
    seen[i + 4u] = select(vec4(0.0), grad, (code == vec4(2u)) & inside);
    seen[i + 5u] = select(vec4(0.0), grad, (code == vec4(3u)) & inside);
}

fn load_windows(n: u32, y: u32, x: u32, quad: u32) {
    load_window(0u, n, y - 1u, x - 1u, quad);
    load_window(2u, n, y - 1u, x, quad);
    load_window(8u, n, y, x - 1u, quad);
    load_window(10u, n, y, x, quad);
}

fn load_tap(tap: u32, in_quad: u32, quad: u32) {
    let i = (tap * in_channels + in_quad * 4u) * quads + quad;
    weights[8u - tap] = transpose(mat4x4(weight[i], weight[i + quads], weight[i + 2u * quads], weight[i + 3u * quads]));
}

/// `sum` and the products of four gradients. `fma` is one instruction where the processor has it, and no sum of its own before.
fn add(tap: u32, grads: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    let w = weights[tap];
    return fma(w[3], vec4(grads.w), fma(w[2], vec4(grads.z), fma(w[1], vec4(grads.y), fma(w[0], vec4(grads.x), sum))));
}

/// `sum` and the products of all positions of the kernel, whose last meets position `i` of what lane `l` has loaded.
fn add_taps(l: u32, i: u32, sum: vec4<f32>) -> vec4<f32> {
    let first = add(2u, subgroupShuffle(seen[i + 2u], l), add(1u, subgroupShuffle(seen[i + 1u], l), add(0u, subgroupShuffle(seen[i], l), sum)));
    let second = add(5u, subgroupShuffle(seen[i + 6u], l), add(4u, subgroupShuffle(seen[i + 5u], l), add(3u, subgroupShuffle(seen[i + 4u], l), first)));
    return add(8u, subgroupShuffle(seen[i + 10u], l), add(7u, subgroupShuffle(seen[i + 9u], l), add(6u, subgroupShuffle(seen[i + 8u], l), second)));
}

/// The sums of the four positions of the block in the sample of lane `l`.
fn add_sample(l: u32, sums: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4(add_taps(l, 0u, sums[0]), add_taps(l, 1u, sums[1]), add_taps(l, 4u, sums[2]), add_taps(l, 5u, sums[3]));
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
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last channel help to load gradients, and store nothing.
    let in_quad = group.z * workgroup_size + local;
    let tile = group.x + group.y * groups.x;
    let first = tile / blocks * 16u;
    let y = tile % blocks / blocks_per_row * 2u - shift;
    let x = tile % blocks_per_row * 2u - shift;
    // The last of the windows that reach the block; the others are above and to the left of it.
    let window_y = (y + before) / 2u;
    let window_x = (x + before) / 2u;
    let is_reached = (is_window(window_y, 0u) || is_window(window_y - 1u, 0u)) && (is_window(0u, window_x) || is_window(0u, window_x - 1u));

    var sums: array<mat4x4<f32>, 16>;
    for (var quad = 0u; quad < select(0u, quads, is_reached); quad++) {
        load_tap(0u, in_quad, quad); load_tap(1u, in_quad, quad); load_tap(2u, in_quad, quad);
        load_tap(3u, in_quad, quad); load_tap(4u, in_quad, quad); load_tap(5u, in_quad, quad);
        load_tap(6u, in_quad, quad); load_tap(7u, in_quad, quad); load_tap(8u, in_quad, quad);
        load_windows(first + lane % 8u, window_y, window_x, quad);
        sums[0] = add_sample(0u, sums[0]); sums[1] = add_sample(1u, sums[1]);
        sums[2] = add_sample(2u, sums[2]); sums[3] = add_sample(3u, sums[3]);
        sums[4] = add_sample(4u, sums[4]); sums[5] = add_sample(5u, sums[5]);
        sums[6] = add_sample(6u, sums[6]); sums[7] = add_sample(7u, sums[7]);
        load_windows(first + 8u + lane % 8u, window_y, window_x, quad);
        sums[8] = add_sample(0u, sums[8]); sums[9] = add_sample(1u, sums[9]);
        sums[10] = add_sample(2u, sums[10]); sums[11] = add_sample(3u, sums[11]);
        sums[12] = add_sample(4u, sums[12]); sums[13] = add_sample(5u, sums[13]);
        sums[14] = add_sample(6u, sums[14]); sums[15] = add_sample(7u, sums[15]);
    }
    store(first, y, x, in_quad, sums[0]); store(first + 1u, y, x, in_quad, sums[1]);
    store(first + 2u, y, x, in_quad, sums[2]); store(first + 3u, y, x, in_quad, sums[3]);
    store(first + 4u, y, x, in_quad, sums[4]); store(first + 5u, y, x, in_quad, sums[5]);
    store(first + 6u, y, x, in_quad, sums[6]); store(first + 7u, y, x, in_quad, sums[7]);
    store(first + 8u, y, x, in_quad, sums[8]); store(first + 9u, y, x, in_quad, sums[9]);
    store(first + 10u, y, x, in_quad, sums[10]); store(first + 11u, y, x, in_quad, sums[11]);
    store(first + 12u, y, x, in_quad, sums[12]); store(first + 13u, y, x, in_quad, sums[13]);
    store(first + 14u, y, x, in_quad, sums[14]); store(first + 15u, y, x, in_quad, sums[15]);
}
