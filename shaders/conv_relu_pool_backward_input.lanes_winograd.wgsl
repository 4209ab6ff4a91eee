// Gradient of convolution by kernels of 3x3, ReLU and max-pooling over windows of 2x2 with respect to the input; a workgroup for
// 8 samples, in which each invocation has four neighbouring input channels.
//
//   input_grad[n,y,x,c] = sum over ky, kx, o of map_grad[n, y + before - ky, x + before - kx, o] * weight[ky,kx,c,o]
//
// where map_grad is output_grad at the places of the windows' maxima, as argmax holds them, and 0 elsewhere. A window reaches a
// patch of 4x4 positions. In a row, the two gradients g and the three weights w give the patch's four numbers as the product of
// two polynomials, (g0 + g1 t) (w0 + w1 t + w2 t^2), which is known from its values at t = 0, 1, -1 and infinity: four products
// instead of six, and in both directions 16 instead of 36 (Winograd, Arithmetic Complexity of Computations, 1980). Sums over
// output channels are of values, and are turned into coefficients once for each window.
//
// Windows come in the order of the map. Of a patch, the left half of what the window to the left has reached is held in registers
// until it is stored, and the upper half of what the windows above have reached waits in input_grad. Four output channels
// at a time, each of the first 8 lanes loads the window in one sample, which is broadcast to the others. Needs subgroups of 8
// lanes or more, and numbers of channels that are multiples of 4.
//
// Parts: conv2d, runs, conv_relu_pool, tiles, lane_products, texels, texels_f32, weight_texels, output_grad_texels, run_weight,
// window_grads.
// CPU twin: ConvReluPoolBackwardInput in src/ops/conv_relu_pool/gradients.rs.

override reached_height: u32 = pooled_height * 2u + 2u;  // rows that windows reach; with padding more than there are
override reached_width: u32 = pooled_width * 2u + 2u;

@group(0) @binding(0) var output_grad: Texels;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(1) var argmax: texture_storage_2d<r32uint, read>;  // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(2) var weight: Texels;  // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(3) var<storage, read_write> input_grad: array<vec4<f32>>;  // [batch, in_height, in_width, in_channels]

/// Values of the gradients of four output channels of a window in a lane's sample: rows at 0, 1, -1 and infinity, and in each
/// the columns.
var<private> grads: array<vec4<f32>, 16>;

/// Values of the weights of four input channels for each of four output channels, half of them at 1 and -1.
var<private> weights: array<mat4x4<f32>, 16>;

/// For each of 8 samples, the sums of the products of values; after the last output channel, the patch.
var<private> sums: array<vec4<f32>, 128>;

/// For each of 8 samples, the right half of the patch of the window to the left, row by row.
var<private> held: array<vec4<f32>, 64>;

fn spread_grads(i: u32, a: vec4<f32>, b: vec4<f32>) {
    grads[i] = a;
    grads[i + 1u] = a + b;
    grads[i + 2u] = a - b;
    grads[i + 3u] = b;
}

/// Loads the window. A read beyond a texture gives some number in WGSL, which is not used: that of a sample beyond the last.
fn load_window(n: u32, y: u32, x: u32, quad: u32) {
    let at = grads_at((n * pooled_height + y) * pooled_width + x, quad);
    spread_grads(0u, at[0], at[1]);
    spread_grads(4u, at[0] + at[2], at[1] + at[3]);
    spread_grads(8u, at[0] - at[2], at[1] - at[3]);
    spread_grads(12u, at[2], at[3]);
}

/// The weights at a position of the kernel: a column for each of four output channels.
fn columns_at(tap: u32, in_quad: u32, quad: u32) -> mat4x4<f32> {
    return transpose(weights_at(tap * in_channels + in_quad * 4u, quad));
}

fn spread_weights(i: u32, a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>) {
    weights[i] = a;
    weights[i + 1u] = (a + c) * 0.5 + b * 0.5;
    weights[i + 2u] = (a + c) * 0.5 - b * 0.5;
    weights[i + 3u] = c;
}

fn load_weights(in_quad: u32, quad: u32) {
    let a0 = columns_at(0u, in_quad, quad);
    let a1 = columns_at(1u, in_quad, quad);
    let a2 = columns_at(2u, in_quad, quad);
    let b0 = columns_at(3u, in_quad, quad) * 0.5;
    let b1 = columns_at(4u, in_quad, quad) * 0.5;
    let b2 = columns_at(5u, in_quad, quad) * 0.5;
    let c0 = columns_at(6u, in_quad, quad);
    let c1 = columns_at(7u, in_quad, quad);
    let c2 = columns_at(8u, in_quad, quad);
    spread_weights(0u, a0, a1, a2);
    spread_weights(4u, (a0 + c0) * 0.5 + b0, (a1 + c1) * 0.5 + b1, (a2 + c2) * 0.5 + b2);
    spread_weights(8u, (a0 + c0) * 0.5 - b0, (a1 + c1) * 0.5 - b1, (a2 + c2) * 0.5 - b2);
    spread_weights(12u, c0, c1, c2);
}

/// Adds the products of values `k` in sample `l`. `fma` is one instruction where the processor has it.
fn add(k: u32, l: u32) {
    let grad = subgroupShuffle(grads[k], l);
    let w = weights[k];
    let i = l * 16u + k;
    sums[i] = fma(w[3], vec4(grad.w), fma(w[2], vec4(grad.z), fma(w[1], vec4(grad.y), fma(w[0], vec4(grad.x), sums[i]))));
}

/// Adds the products of values `k` in all samples, one after the other, so that the 16 weights stay in registers where there
/// are 32.
fn add_values(k: u32) {
    add(k, 0u); add(k, 1u); add(k, 2u); add(k, 3u); add(k, 4u); add(k, 5u); add(k, 6u); add(k, 7u);
}

/// Turns four values, `step` apart, into the coefficients of their polynomial.
fn interpolate(i: u32, step: u32) {
    let even = sums[i + step] + sums[i + 2u * step];
    let odd = sums[i + step] - sums[i + 2u * step];
    sums[i + step] = odd - sums[i + 3u * step];
    sums[i + 2u * step] = even - sums[i];
}

/// Stores a position, with the sum that the windows above have left there. Without padding all patches lie inside the input.
/// With padding, positions above and to the left wrap round to huge numbers.
fn put(n: u32, y: u32, x: u32, in_quad: u32, has_above: bool, sum: vec4<f32>) {
    if padding == 0u || (y < in_height && x < in_width) {
        let i = ((n * in_height + y) * in_width + x) * in_quads + in_quad;
        var total = sum;
        if has_above { total += input_grad[i]; }
        input_grad[i] = total;
    }
}

/// Stores the left half of the patch of sample `l`, which begins at (y, x), and holds the right one. The lower rows' sums wait in
/// `input_grad` for the windows below.
fn store(l: u32, n: u32, y: u32, x: u32, in_quad: u32, has_above: bool) {
    let i = l * 16u;
    interpolate(i, 4u); interpolate(i + 1u, 4u); interpolate(i + 2u, 4u); interpolate(i + 3u, 4u);
    interpolate(i, 1u); interpolate(i + 4u, 1u); interpolate(i + 8u, 1u); interpolate(i + 12u, 1u);
    let h = l * 8u;
    if n < batch && in_quad < in_quads {
        put(n, y, x, in_quad, has_above, held[h] + sums[i]);
        put(n, y, x + 1u, in_quad, has_above, held[h + 1u] + sums[i + 1u]);
        put(n, y + 1u, x, in_quad, has_above, held[h + 2u] + sums[i + 4u]);
        put(n, y + 1u, x + 1u, in_quad, has_above, held[h + 3u] + sums[i + 5u]);
        put(n, y + 2u, x, in_quad, false, held[h + 4u] + sums[i + 8u]);
        put(n, y + 2u, x + 1u, in_quad, false, held[h + 5u] + sums[i + 9u]);
        put(n, y + 3u, x, in_quad, false, held[h + 6u] + sums[i + 12u]);
        put(n, y + 3u, x + 1u, in_quad, false, held[h + 7u] + sums[i + 13u]);
    }
    for (var k = 0u; k < 8u; k++) { held[h + k] = sums[i + k / 2u * 4u + k % 2u + 2u]; }
    for (var k = 0u; k < 16u; k++) { sums[i + k] = vec4(0.0); }
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
    let first = tile_index(group, groups) * 8u;

    for (var window_y = 0u; window_y < pooled_height; window_y++) {
        let y = window_y * 2u - before;
        // After the last window, one round more stores what is held.
        for (var window_x = 0u; window_x <= pooled_width; window_x++) {
            let x = window_x * 2u - before;
            for (var quad = 0u; quad < select(0u, quads, window_x < pooled_width); quad++) {
                load_weights(in_quad, quad);
                load_window(first + lane % 8u, window_y, window_x, quad);
                add_values(0u); add_values(1u); add_values(2u); add_values(3u);
                add_values(4u); add_values(5u); add_values(6u); add_values(7u);
                add_values(8u); add_values(9u); add_values(10u); add_values(11u);
                add_values(12u); add_values(13u); add_values(14u); add_values(15u);
            }
            let has_above = window_y > 0u;
            store(0u, first, y, x, in_quad, has_above); store(1u, first + 1u, y, x, in_quad, has_above);
            store(2u, first + 2u, y, x, in_quad, has_above); store(3u, first + 3u, y, x, in_quad, has_above);
            store(4u, first + 4u, y, x, in_quad, has_above); store(5u, first + 5u, y, x, in_quad, has_above);
            store(6u, first + 6u, y, x, in_quad, has_above); store(7u, first + 7u, y, x, in_quad, has_above);
        }
    }
    // What no window reaches.
    for (var n = first; n < min(first + 8u, batch); n++) {
        for (var y = 0u; y < in_height; y++) {
            for (var x = select(0u, reached_width, y < reached_height); x < in_width; x++) {
                if in_quad < in_quads { put(n, y, x, in_quad, false, vec4(0.0)); }
            }
        }
    }
}
