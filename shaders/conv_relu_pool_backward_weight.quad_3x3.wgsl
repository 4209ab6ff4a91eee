// Gradients of convolution by kernels of 3x3, ReLU and max-pooling over windows of 2x2 with respect to weights and bias, one
// partial sum for each chunk of samples; a workgroup for four input channels, in which each invocation has four neighbouring
// output channels: for each position of the kernel a tile of 4 by 4 channels, in registers.
//
//   weight_grad_partial[chunk,ky,kx,c,o] = sum over the chunk's windows n, y, x that have a maximum in channel o of
//       output_grad[n,y,x,o] * input[n, y * 2 + dy + ky - before, x * 2 + dx + kx - before, c]
//   bias_grad_partial[chunk,o]           = sum over the same of output_grad[n,y,x,o]
//
// where argmax holds dy * 2 + dx, with zeros outside the input; the chunks are added in order later. A window sees a patch of
// 4x4 positions. All nine positions of the kernel are unrolled, so that a float once loaded serves in all of its products: of
// eight windows at a time, each of the first 8 lanes loads the patch of one, which is broadcast to the others. Needs subgroups
// of 8 lanes or more, and numbers of channels that are multiples of 4.
// CPU twin: ConvReluPoolBackwardWeight in src/ops/conv_relu_pool/gradients.rs.

override batch: u32;
override in_channels: u32;
override in_height: u32;
override in_width: u32;
override out_channels: u32;
override kernel: u32;  // 3
override padding: u32;
override pool: u32;  // 2
override samples_per_chunk: u32;
override workgroup_size: u32;

override before: u32 = padding / 2u;
override pooled_height: u32 = (in_height + padding - kernel + 1u) / pool;
override pooled_width: u32 = (in_width + padding - kernel + 1u) / pool;
override pooled_area: u32 = pooled_height * pooled_width;
override in_quads: u32 = in_channels / 4u;
override quads: u32 = out_channels / 4u;

@group(0) @binding(0) var<storage, read> input: array<vec4<f32>>;                      // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> output_grad: array<vec4<f32>>;                // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(2) var<storage, read> argmax: array<u32>;                           // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(3) var<storage, read_write> weight_grad_partial: array<vec4<f32>>;  // [chunks, kernel, kernel, in_channels, out_channels]
@group(0) @binding(4) var<storage, read_write> bias_grad_partial: array<vec4<f32>>;    // [chunks, out_channels]

/// Four channels of the 4x4 positions that a lane's window sees, row by row.
var<private> seen: array<vec4<f32>, 16>;

/// For each of eight windows, the gradients of its positions in four output channels.
var<private> grads: array<mat4x4<f32>, 8>;

/// For each position of the kernel, the gradients of four output channels for each of four input channels.
var<private> sums: array<mat4x4<f32>, 9>;

/// Four channels of a position; 0 outside the map. What is above and to the left of it wraps round to huge numbers; a read
/// beyond a buffer gives some number in WGSL, which here and below is not used.
fn input_at(n: u32, y: u32, x: u32, in_quad: u32) -> vec4<f32> {
    let inside = n < batch && y < in_height && x < in_width;
    return select(vec4(0.0), input[((n * in_height + y) * in_width + x) * in_quads + in_quad], inside);
}

fn load_row(row: u32, n: u32, y: u32, x: u32, in_quad: u32) {
    seen[row] = input_at(n, y, x, in_quad);
    seen[row + 1u] = input_at(n, y, x + 1u, in_quad);
    seen[row + 2u] = input_at(n, y, x + 2u, in_quad);
    seen[row + 3u] = input_at(n, y, x + 3u, in_quad);
}

fn load_window(window: u32, in_quad: u32) {
    let n = window / pooled_area;
    let y = window / pooled_width % pooled_height * 2u - before;
    let x = window % pooled_width * 2u - before;
    load_row(0u, n, y, x, in_quad);
    load_row(4u, n, y + 1u, x, in_quad);
    load_row(8u, n, y + 2u, x, in_quad);
    load_row(12u, n, y + 3u, x, in_quad);
}

/// The gradients of a window's positions, of which in each channel at most one is not 0.
fn grads_at(window: u32, end: u32, quad: u32) -> mat4x4<f32> {
    let grad = output_grad[window * quads + quad];
    let code = select(vec4(255u), unpack4xU8(argmax[window * quads + quad]), window < end);
    return mat4x4(
        select(vec4(0.0), grad, code == vec4(0u)),
        select(vec4(0.0), grad, code == vec4(1u)),
        select(vec4(0.0), grad, code == vec4(2u)),
        select(vec4(0.0), grad, code == vec4(3u)),
    );
}

/// Channel `c` of position `i` of the patch of lane `l`.
fn seen_by(l: u32, i: u32, c: u32) -> vec4<f32> {
    return vec4(subgroupShuffle(seen[i], l)[c]);
}

/// `sum` and the products of the four positions of window `l`, the first of which meets position `i` of its patch. `fma` is one
/// instruction where the processor has it.
fn add_window(l: u32, i: u32, c: u32, sum: vec4<f32>) -> vec4<f32> {
    let g = grads[l];
    let first_row = fma(g[1], seen_by(l, i + 1u, c), fma(g[0], seen_by(l, i, c), sum));
    return fma(g[3], seen_by(l, i + 5u, c), fma(g[2], seen_by(l, i + 4u, c), first_row));
}

/// `sum` and the products of eight windows.
fn add_windows(i: u32, c: u32, sum: vec4<f32>) -> vec4<f32> {
    let half = add_window(3u, i, c, add_window(2u, i, c, add_window(1u, i, c, add_window(0u, i, c, sum))));
    return add_window(7u, i, c, add_window(6u, i, c, add_window(5u, i, c, add_window(4u, i, c, half))));
}

/// Adds to the sums of a position of the kernel, which meets position `i` of each patch first.
fn add_tap(tap: u32, i: u32) {
    let s = sums[tap];
    sums[tap] = mat4x4(add_windows(i, 0u, s[0]), add_windows(i, 1u, s[1]), add_windows(i, 2u, s[2]), add_windows(i, 3u, s[3]));
}

fn store(chunk: u32, tap: u32, in_quad: u32, quad: u32) {
    if quad >= quads { return; }
    let row = (chunk * kernel * kernel + tap) * in_channels + in_quad * 4u;
    weight_grad_partial[row * quads + quad] = sums[tap][0];
    weight_grad_partial[(row + 1u) * quads + quad] = sums[tap][1];
    weight_grad_partial[(row + 2u) * quads + quad] = sums[tap][2];
    weight_grad_partial[(row + 3u) * quads + quad] = sums[tap][3];
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
    let in_quad = group.x;

    var bias_grad = vec4(0.0);
    let end = min((chunk + 1u) * samples_per_chunk, batch) * pooled_area;
    for (var window = chunk * samples_per_chunk * pooled_area; window < end; window += 8u) {
        load_window(window + lane % 8u, in_quad);
        grads[0] = grads_at(window, end, quad); grads[1] = grads_at(window + 1u, end, quad);
        grads[2] = grads_at(window + 2u, end, quad); grads[3] = grads_at(window + 3u, end, quad);
        grads[4] = grads_at(window + 4u, end, quad); grads[5] = grads_at(window + 5u, end, quad);
        grads[6] = grads_at(window + 6u, end, quad); grads[7] = grads_at(window + 7u, end, quad);
        add_tap(0u, 0u); add_tap(1u, 1u); add_tap(2u, 2u);
        add_tap(3u, 4u); add_tap(4u, 5u); add_tap(5u, 6u);
        add_tap(6u, 8u); add_tap(7u, 9u); add_tap(8u, 10u);
        let first_half = grads[0] + grads[1] + grads[2] + grads[3];
        let second_half = grads[4] + grads[5] + grads[6] + grads[7];
        bias_grad += (first_half + second_half) * vec4(1.0);
    }
    store(chunk, 0u, in_quad, quad); store(chunk, 1u, in_quad, quad); store(chunk, 2u, in_quad, quad);
    store(chunk, 3u, in_quad, quad); store(chunk, 4u, in_quad, quad); store(chunk, 5u, in_quad, quad);
    store(chunk, 6u, in_quad, quad); store(chunk, 7u, in_quad, quad); store(chunk, 8u, in_quad, quad);
    if group.x == 0u && quad < quads {
        bias_grad_partial[chunk * quads + quad] = bias_grad;
    }
}
