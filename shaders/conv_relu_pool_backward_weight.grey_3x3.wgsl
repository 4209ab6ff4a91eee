// Gradients of convolution of one channel by kernels of 3x3, ReLU and max-pooling over windows of 2x2 with respect to weights and
// bias, one partial sum for each chunk of samples; each invocation has four neighbouring output channels, whose sums stay in
// registers.
//
//   weight_grad_partial[chunk,ky,kx,o] = sum over the chunk's windows n, y, x that have a maximum in channel o of
//       output_grad[n,y,x,o] * input[n, y * 2 + dy + ky - before, x * 2 + dx + kx - before]
//   bias_grad_partial[chunk,o]         = sum over the same of output_grad[n,y,x,o]
//
// where argmax holds dy * 2 + dx, with zeros outside the input; the chunks are added in order later. A window sees a patch of
// 4x4 positions: of eight windows at a time, each of the first 8 lanes loads the patch of one, which is broadcast to the others.
// Needs subgroups of 8 lanes or more, one input channel, and a number of output channels that is a multiple of 4.
// CPU twin: ConvReluPoolBackwardWeight in src/ops/conv_relu_pool/gradients.rs.

override batch: u32;
override in_channels: u32;  // 1
override in_height: u32;
override in_width: u32;
override out_channels: u32;
override kernel: u32;  // 3
override padding: u32;
override pool: u32;  // 2
override samples_per_chunk: u32;
override workgroup_size: u32;
override texels_per_row: u32;

override before: u32 = padding / 2u;
override pooled_height: u32 = (in_height + padding - kernel + 1u) / pool;
override pooled_width: u32 = (in_width + padding - kernel + 1u) / pool;
override pooled_area: u32 = pooled_height * pooled_width;
override quads: u32 = out_channels / 4u;

@group(0) @binding(0) var input: texture_storage_2d<rgba32float, read>;                // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var output_grad: texture_storage_2d<rgba32float, read>;          // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(2) var argmax: texture_storage_2d<r32uint, read>;                   // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(3) var<storage, read_write> weight_grad_partial: array<vec4<f32>>;  // [chunks, kernel, kernel, in_channels, out_channels]
@group(0) @binding(4) var<storage, read_write> bias_grad_partial: array<vec4<f32>>;    // [chunks, out_channels]

/// The place of texel `i` in a texture.
fn texel(i: u32) -> vec2<u32> {
    return vec2(i % texels_per_row, i / texels_per_row);
}

/// Four neighbouring floats, the first anywhere in a texel; it may lie before the texture.
fn four_at(floats: texture_storage_2d<rgba32float, read>, i: u32) -> vec4<f32> {
    let first = u32(i32(i) >> 2u);
    let here = textureLoad(floats, texel(first));
    let next = textureLoad(floats, texel(first + 1u));
    let moved = select(here, vec4(here.zw, next.xy), (i & 2u) != 0u);
    return select(moved, vec4(moved.yzw, select(next.x, next.z, (i & 2u) != 0u)), (i & 1u) != 0u);
}

/// The rows of the 4x4 positions that a lane's window sees.
var<private> seen: array<vec4<f32>, 4>;

/// For each of eight windows, the gradients of its positions in four output channels.
var<private> grads: array<mat4x4<f32>, 8>;

/// The gradients of four output channels, position by position of the kernel; last that of the bias.
var<private> sums: array<vec4<f32>, 10>;

/// Four positions of a row; 0 outside the map. What is above and to the left of it wraps round to huge numbers; a read beyond a
/// buffer gives some number in WGSL, which here and below is not used.
fn row_at(n: u32, y: u32, x: u32) -> vec4<f32> {
    let columns = vec4(x, x + 1u, x + 2u, x + 3u);
    let inside = (columns < vec4(in_width)) & vec4(y < in_height && n < batch);
    return select(vec4(0.0), four_at(input, (n * in_height + y) * in_width + x), inside);
}

fn load_window(window: u32) {
    let n = window / pooled_area;
    let y = window / pooled_width % pooled_height * 2u - before;
    let x = window % pooled_width * 2u - before;
    seen[0] = row_at(n, y, x);
    seen[1] = row_at(n, y + 1u, x);
    seen[2] = row_at(n, y + 2u, x);
    seen[3] = row_at(n, y + 3u, x);
}

/// The gradients of a window's positions, of which in each channel at most one is not 0.
fn grads_at(window: u32, end: u32, quad: u32) -> mat4x4<f32> {
    let grad = textureLoad(output_grad, texel(window * quads + quad));
    let code = select(vec4(255u), unpack4xU8(textureLoad(argmax, texel(window * quads + quad)).x), window < end);
    return mat4x4(
        select(vec4(0.0), grad, code == vec4(0u)),
        select(vec4(0.0), grad, code == vec4(1u)),
        select(vec4(0.0), grad, code == vec4(2u)),
        select(vec4(0.0), grad, code == vec4(3u)),
    );
}

/// A position of the window that lane `l` has loaded.
fn seen_by(l: u32, y: u32, x: u32) -> vec4<f32> {
    return vec4(subgroupShuffle(seen[y], l)[x]);
}

/// `sum` and the products of the four positions of window `l` with what they meet at a position of the kernel. `fma` is one
/// instruction where the processor has it.
fn add_window(l: u32, ky: u32, kx: u32, sum: vec4<f32>) -> vec4<f32> {
    let g = grads[l];
    let first_row = fma(g[1], seen_by(l, ky, kx + 1u), fma(g[0], seen_by(l, ky, kx), sum));
    return fma(g[3], seen_by(l, ky + 1u, kx + 1u), fma(g[2], seen_by(l, ky + 1u, kx), first_row));
}

/// Adds eight windows to the sum of a position of the kernel.
fn add_tap(ky: u32, kx: u32) {
    let i = ky * 3u + kx;
    let half = add_window(3u, ky, kx, add_window(2u, ky, kx, add_window(1u, ky, kx, add_window(0u, ky, kx, sums[i]))));
    sums[i] = add_window(7u, ky, kx, add_window(6u, ky, kx, add_window(5u, ky, kx, add_window(4u, ky, kx, half))));
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_backward_weight(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last channel help to load inputs, and store nothing.
    let chunk = group.z;
    let quad = group.y * workgroup_size + local;
    let end = min((chunk + 1u) * samples_per_chunk, batch) * pooled_area;
    for (var window = chunk * samples_per_chunk * pooled_area; window < end; window += 8u) {
        load_window(window + lane % 8u);
        grads[0] = grads_at(window, end, quad); grads[1] = grads_at(window + 1u, end, quad);
        grads[2] = grads_at(window + 2u, end, quad); grads[3] = grads_at(window + 3u, end, quad);
        grads[4] = grads_at(window + 4u, end, quad); grads[5] = grads_at(window + 5u, end, quad);
        grads[6] = grads_at(window + 6u, end, quad); grads[7] = grads_at(window + 7u, end, quad);
        add_tap(0u, 0u); add_tap(0u, 1u); add_tap(0u, 2u);
        add_tap(1u, 0u); add_tap(1u, 1u); add_tap(1u, 2u);
        add_tap(2u, 0u); add_tap(2u, 1u); add_tap(2u, 2u);
        let first_half = grads[0] + grads[1] + grads[2] + grads[3];
        let second_half = grads[4] + grads[5] + grads[6] + grads[7];
        sums[9] += (first_half + second_half) * vec4(1.0);
    }
    if quad >= quads { return; }
    let first = chunk * 9u * quads + quad;
    weight_grad_partial[first] = sums[0];
    weight_grad_partial[first + quads] = sums[1];
    weight_grad_partial[first + 2u * quads] = sums[2];
    weight_grad_partial[first + 3u * quads] = sums[3];
    weight_grad_partial[first + 4u * quads] = sums[4];
    weight_grad_partial[first + 5u * quads] = sums[5];
    weight_grad_partial[first + 6u * quads] = sums[6];
    weight_grad_partial[first + 7u * quads] = sums[7];
    weight_grad_partial[first + 8u * quads] = sums[8];
    bias_grad_partial[chunk * quads + quad] = sums[9];
}
