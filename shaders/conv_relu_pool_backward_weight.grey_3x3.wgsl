// Gradients of convolution of one channel by kernels of 3x3, ReLU and max-pooling over windows of 2x2 with respect to weights and
// bias, one partial sum for each chunk of samples; each invocation has four neighbouring output channels, whose sums stay in
// registers.
//
//   weight_grad_partial[chunk,ky,kx,o] = sum over the chunk's windows n, y, x that have a maximum in channel o of
//       output_grad[n,y,x,o] * input[n, y * 2 + dy + ky - before, x * 2 + dx + kx - before]
//   bias_grad_partial[chunk,o]         = sum over the same of output_grad[n,y,x,o]
//
// where argmax holds dy * 2 + dx, with zeros outside the input; the chunks are added in order later. A window sees a patch of
// 4x4 positions, of which each of the first 8 lanes loads two. Two rows of it are 8 lanes, out of which a shuffle fetches what the
// maximum of each channel meets, so that there are nine products for a window, not 36. Two windows are added to a sum at a time,
// before it goes back to the stack. Needs subgroups of 8 lanes or more, one input channel, and a number of output channels that
// is a multiple of 4.
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

/// The patches of two windows; of each a row in lanes 0 to 3 and another in lanes 4 to 7: rows 0 and 1, 2 and 1, 2 and 3.
var<private> seen: array<array<f32, 3>, 2>;

/// Of both windows the lanes that have the maxima's positions in rows 0 and 1, for four output channels.
var<private> places: array<vec4<u32>, 2>;

/// Of both windows the gradients of the maxima.
var<private> grads: array<vec4<f32>, 2>;

/// The gradients of four output channels, position by position of the kernel; last that of the bias.
var<private> sums: array<vec4<f32>, 10>;

/// A position; 0 outside the map. What is above and to the left of it wraps round to huge numbers.
fn input_at(n: u32, y: u32, x: u32) -> f32 {
    let i = (n * in_height + y) * in_width + x;
    let four = textureLoad(input, texel(i / 4u));
    let two = select(four.xy, four.zw, (i & 2u) != 0u);
    return select(0.0, select(two.x, two.y, (i & 1u) != 0u), y < in_height && x < in_width);
}

fn load_patch(i: u32, window: u32, lane: u32) {
    let n = window / pooled_area;
    let y = window / pooled_width % pooled_height * 2u - before + lane / 4u;
    let x = window % pooled_width * 2u - before + lane % 4u;
    let above = input_at(n, y, x);
    let below = input_at(n, y + 2u, x);
    seen[i] = array(above, select(above, below, lane < 4u), below);
}

fn load_grads(i: u32, window: u32, quad: u32, is_there: bool) {
    let code = unpack4xU8(textureLoad(argmax, texel(window * quads + quad)).x);
    let grad = textureLoad(output_grad, texel(window * quads + quad));
    grads[i] = select(vec4(0.0), grad, vec4(is_there) & (code != vec4(255u)));
    places[i] = (code & vec4(2u)) * 2u + (code & vec4(1u));  // some lane where there is no maximum
}

/// What the maxima of four output channels meet at a position of the kernel. Rows 1 and 2 have changed places.
fn input_met(i: u32, ky: u32, kx: u32) -> vec4<f32> {
    let row = seen[i][ky];
    let lanes = select(places[i], places[i] ^ vec4(4u), ky == 1u) + kx;
    return vec4(subgroupShuffle(row, lanes.x), subgroupShuffle(row, lanes.y), subgroupShuffle(row, lanes.z), subgroupShuffle(row, lanes.w));
}

/// Adds to the sums of a position of the kernel. `fma` is one instruction where the processor has it.
fn add_tap(ky: u32, kx: u32) {
    let tap = ky * 3u + kx;
    sums[tap] = fma(grads[1], input_met(1u, ky, kx), fma(grads[0], input_met(0u, ky, kx), sums[tap]));
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
    for (var window = chunk * samples_per_chunk * pooled_area; window < end; window += 2u) {
        let next = min(window + 1u, end - 1u);
        load_patch(0u, window, lane % 8u);
        load_patch(1u, next, lane % 8u);
        load_grads(0u, window, quad, true);
        load_grads(1u, next, quad, next > window);
        add_tap(0u, 0u); add_tap(0u, 1u); add_tap(0u, 2u);
        add_tap(1u, 0u); add_tap(1u, 1u); add_tap(1u, 2u);
        add_tap(2u, 0u); add_tap(2u, 1u); add_tap(2u, 2u);
        sums[9] += grads[0] + grads[1];
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
