// Gradient of convolution by kernels of 3x3, ReLU and max-pooling over windows of 2x2 with respect to the input; a workgroup for
// a block of 2x2 positions in 16 samples, in which each invocation has four neighbouring input channels: 16 tiles of 4 channels
// by the 4 positions of the block, in registers.
//
//   input_grad[n,y,x,c] = sum over ky, kx, o of map_grad[n, y + before - ky, x + before - kx, o] * weight[ky,kx,c,o]
//
// where map_grad is output_grad at the places of the windows' maxima, as argmax holds them, and 0 elsewhere. Blocks begin where
// windows do, so that up to four windows reach a block: that at its place, and those above, to the left, and both. But for mirror
// images they reach it alike: one of the block's rows is near the window, one far from it, and so are the window's rows from the
// block. Near rows meet in the kernel's middle row, a near and a far one in its first or last, far rows never; and so for
// columns. Four output channels at a time, each of the first 8 lanes loads the window in one sample, which is broadcast to the
// others. Needs subgroups of 8 lanes or more, and numbers of channels that are multiples of 4.
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
override texels_per_row: u32;

override before: u32 = padding / 2u;
override shift: u32 = before % 2u;  // positions that the first block has beyond the input
override pooled_height: u32 = (in_height + padding - kernel + 1u) / pool;
override pooled_width: u32 = (in_width + padding - kernel + 1u) / pool;
override in_quads: u32 = in_channels / 4u;
override quads: u32 = out_channels / 4u;
override blocks_per_row: u32 = (in_width + shift + 1u) / 2u;
override blocks: u32 = (in_height + shift + 1u) / 2u * blocks_per_row;

@group(0) @binding(0) var output_grad: texture_storage_2d<rgba32float, read>;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(1) var argmax: texture_storage_2d<r32uint, read>;           // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(2) var weight: texture_storage_2d<rgba32float, read>;       // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(3) var<storage, read_write> input_grad: array<vec4<f32>>;   // [batch, in_height, in_width, in_channels]

/// The place of texel `i` in a texture.
fn texel(i: u32) -> vec2<u32> {
    return vec2(i % texels_per_row, i / texels_per_row);
}

/// Gradients of four channels of a window's positions in a lane's sample: the nearest to the block, the one beside it in its row, the
/// one in its column, and the farthest.
var<private> seen: array<vec4<f32>, 4>;

/// The weights of four input channels for each of four output channels: where near rows and near columns meet, near rows and
/// near and far columns, near and far rows and near columns, and where both are near and far.
var<private> weights: array<mat4x4<f32>, 4>;

/// Loads the window, of which position `nearest` is the nearest to the block. A read beyond a texture gives some number in WGSL,
/// which for a sample beyond the last is not used.
fn load_window(n: u32, y: u32, x: u32, nearest: u32, quad: u32) {
    let i = ((n * pooled_height + y) * pooled_width + x) * quads + quad;
    let code = unpack4xU8(textureLoad(argmax, texel(i)).x);
    let grad = textureLoad(output_grad, texel(i));
    seen[0] = select(vec4(0.0), grad, code == vec4(nearest));
    seen[1] = select(vec4(0.0), grad, code == vec4(nearest ^ 1u));
    seen[2] = select(vec4(0.0), grad, code == vec4(nearest ^ 2u));
    seen[3] = select(vec4(0.0), grad, code == vec4(nearest ^ 3u));
}

fn load_weights(meeting: u32, ky: u32, kx: u32, in_quad: u32, quad: u32) {
    let i = ((ky * kernel + kx) * in_channels + in_quad * 4u) * quads + quad;
    weights[meeting] = transpose(mat4x4(textureLoad(weight, texel(i)), textureLoad(weight, texel(i + quads)), textureLoad(weight, texel(i + 2u * quads)), textureLoad(weight, texel(i + 3u * quads))));
}

/// `sum` and the products of four gradients. `fma` is one instruction where the processor has it.
fn add(meeting: u32, grads: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    let w = weights[meeting];
    return fma(w[3], vec4(grads.w), fma(w[2], vec4(grads.z), fma(w[1], vec4(grads.y), fma(w[0], vec4(grads.x), sum))));
}

/// The sums of the block's positions in the sample of lane `l`, in the order of `seen`.
fn add_sample(l: u32, sums: mat4x4<f32>) -> mat4x4<f32> {
    let nearest = subgroupShuffle(seen[0], l);
    let in_row = subgroupShuffle(seen[1], l);
    let in_column = subgroupShuffle(seen[2], l);
    let farthest = subgroupShuffle(seen[3], l);
    return mat4x4(
        add(3u, farthest, add(2u, in_column, add(1u, in_row, add(0u, nearest, sums[0])))),
        add(3u, in_column, add(1u, nearest, sums[1])),
        add(3u, in_row, add(2u, nearest, sums[2])),
        add(3u, nearest, sums[3]),
    );
}

fn with_columns_exchanged(sums: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4(sums[1], sums[0], sums[3], sums[2]);
}

fn with_rows_exchanged(sums: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4(sums[2], sums[3], sums[0], sums[1]);
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

    var sums: array<mat4x4<f32>, 16>;
    for (var down = 0u; down < 2u; down++) {
        for (var right = 0u; right < 2u; right++) {
            // Windows above and to the left of the map wrap round to huge numbers.
            let window_y = (y + before) / 2u + down - 1u;
            let window_x = (x + before) / 2u + right - 1u;
            let is_window = window_y < pooled_height && window_x < pooled_width;
            for (var quad = 0u; quad < select(0u, quads, is_window); quad++) {
                load_weights(0u, 1u, 1u, in_quad, quad);
                load_weights(1u, 1u, 2u - 2u * right, in_quad, quad);
                load_weights(2u, 2u - 2u * down, 1u, in_quad, quad);
                load_weights(3u, 2u - 2u * down, 2u - 2u * right, in_quad, quad);
                let nearest = 3u - 2u * down - right;
                load_window(first + lane % 8u, window_y, window_x, nearest, quad);
                sums[0] = add_sample(0u, sums[0]); sums[1] = add_sample(1u, sums[1]);
                sums[2] = add_sample(2u, sums[2]); sums[3] = add_sample(3u, sums[3]);
                sums[4] = add_sample(4u, sums[4]); sums[5] = add_sample(5u, sums[5]);
                sums[6] = add_sample(6u, sums[6]); sums[7] = add_sample(7u, sums[7]);
                load_window(first + 8u + lane % 8u, window_y, window_x, nearest, quad);
                sums[8] = add_sample(0u, sums[8]); sums[9] = add_sample(1u, sums[9]);
                sums[10] = add_sample(2u, sums[10]); sums[11] = add_sample(3u, sums[11]);
                sums[12] = add_sample(4u, sums[12]); sums[13] = add_sample(5u, sums[13]);
                sums[14] = add_sample(6u, sums[14]); sums[15] = add_sample(7u, sums[15]);
            }
            // What was near the windows on one side is far from those on the other.
            sums[0] = with_columns_exchanged(sums[0]); sums[1] = with_columns_exchanged(sums[1]); sums[2] = with_columns_exchanged(sums[2]); sums[3] = with_columns_exchanged(sums[3]);
            sums[4] = with_columns_exchanged(sums[4]); sums[5] = with_columns_exchanged(sums[5]); sums[6] = with_columns_exchanged(sums[6]); sums[7] = with_columns_exchanged(sums[7]);
            sums[8] = with_columns_exchanged(sums[8]); sums[9] = with_columns_exchanged(sums[9]); sums[10] = with_columns_exchanged(sums[10]); sums[11] = with_columns_exchanged(sums[11]);
            sums[12] = with_columns_exchanged(sums[12]); sums[13] = with_columns_exchanged(sums[13]); sums[14] = with_columns_exchanged(sums[14]); sums[15] = with_columns_exchanged(sums[15]);
        }
        sums[0] = with_rows_exchanged(sums[0]); sums[1] = with_rows_exchanged(sums[1]); sums[2] = with_rows_exchanged(sums[2]); sums[3] = with_rows_exchanged(sums[3]);
        sums[4] = with_rows_exchanged(sums[4]); sums[5] = with_rows_exchanged(sums[5]); sums[6] = with_rows_exchanged(sums[6]); sums[7] = with_rows_exchanged(sums[7]);
        sums[8] = with_rows_exchanged(sums[8]); sums[9] = with_rows_exchanged(sums[9]); sums[10] = with_rows_exchanged(sums[10]); sums[11] = with_rows_exchanged(sums[11]);
        sums[12] = with_rows_exchanged(sums[12]); sums[13] = with_rows_exchanged(sums[13]); sums[14] = with_rows_exchanged(sums[14]); sums[15] = with_rows_exchanged(sums[15]);
    }
    store(first, y, x, in_quad, sums[0]); store(first + 1u, y, x, in_quad, sums[1]); store(first + 2u, y, x, in_quad, sums[2]); store(first + 3u, y, x, in_quad, sums[3]);
    store(first + 4u, y, x, in_quad, sums[4]); store(first + 5u, y, x, in_quad, sums[5]); store(first + 6u, y, x, in_quad, sums[6]); store(first + 7u, y, x, in_quad, sums[7]);
    store(first + 8u, y, x, in_quad, sums[8]); store(first + 9u, y, x, in_quad, sums[9]); store(first + 10u, y, x, in_quad, sums[10]); store(first + 11u, y, x, in_quad, sums[11]);
    store(first + 12u, y, x, in_quad, sums[12]); store(first + 13u, y, x, in_quad, sums[13]); store(first + 14u, y, x, in_quad, sums[14]); store(first + 15u, y, x, in_quad, sums[15]);
}
