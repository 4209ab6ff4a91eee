// Gradients of convolution, ReLU and max-pooling over windows of 2x2 with respect to weights and bias, one partial sum for
// each chunk of samples; a workgroup for 8 quads of the kernel's runs, in which each invocation has four neighbouring output
// channels: 8 tiles of 4 channels by 4 floats of a run, in registers.
//
//   weight_grad_partial[chunk,ky,kx,c,o] = sum over the chunk's windows n, y, x that have a maximum in channel o of
//       output_grad[n,y,x,o] * input[n, y * 2 + dy + ky - before, x * 2 + dx + kx - before, c]
//   bias_grad_partial[chunk,o]           = sum over the same of output_grad[n,y,x,o]
//
// where argmax holds dy * 2 + dx, with zeros outside the input; the chunks are added in order later. A row of the kernel, all
// channels of each of its positions, is one run of floats, and four of them a quad. The four positions of a window are summed
// over by a product of 4x4 matrices: gradients of channels by positions, inputs of positions by a quad. All invocations need
// the same inputs at a time: each of the first 8 lanes loads one quad and broadcasts it to the others. Needs subgroups of 8
// lanes or more. Takes any number of channels.
// CPU twin: ConvReluPoolBackwardWeight in src/ops/conv_relu_pool/gradients.rs.

override batch: u32;
override in_channels: u32;
override in_height: u32;
override in_width: u32;
override out_channels: u32;
override kernel: u32;
override padding: u32;
override pool: u32;  // 2
override samples_per_chunk: u32;
override workgroup_size: u32;
override texels_per_row: u32;

override before: u32 = padding / 2u;
override pooled_height: u32 = (in_height + padding - kernel + 1u) / 2u;
override pooled_width: u32 = (in_width + padding - kernel + 1u) / 2u;
override quads: u32 = (out_channels + 3u) / 4u;
override run: u32 = kernel * in_channels;  // the floats of a row of the kernel
override run_quads: u32 = (run + 3u) / 4u;

@group(0) @binding(0) var input: texture_storage_2d<rgba32float, read>;          // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var output_grad: texture_storage_2d<rgba32float, read>;    // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(2) var argmax: texture_storage_2d<r32uint, read>;             // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(3) var<storage, read_write> weight_grad_partial: array<f32>;  // [chunks, kernel, kernel, in_channels, out_channels]
@group(0) @binding(4) var<storage, read_write> bias_grad_partial: array<f32>;    // [chunks, out_channels]

/// The place of texel `i` in a texture.
fn texel(i: u32) -> vec2<u32> {
    return vec2(i % texels_per_row, i / texels_per_row);
}

/// Four neighbouring floats out of two texels, the first at place `i % 4u` of the first texel.
fn four_of(here: vec4<f32>, next: vec4<f32>, i: u32) -> vec4<f32> {
    let moved = select(here, vec4(here.zw, next.xy), (i & 2u) != 0u);
    return select(moved, vec4(moved.yzw, select(next.x, next.z, (i & 2u) != 0u)), (i & 1u) != 0u);
}

/// Four neighbouring floats of `input` from the `i`-th on; they may lie before the texture.
fn input_four_at(i: u32) -> vec4<f32> {
    let first = u32(i32(i) >> 2u);
    return four_of(textureLoad(input, texel(first)), textureLoad(input, texel(first + 1u)), i);
}

/// Four neighbouring floats of `output_grad` from the `i`-th on; they may lie before the texture.
fn output_grad_four_at(i: u32) -> vec4<f32> {
    let first = u32(i32(i) >> 2u);
    return four_of(textureLoad(output_grad, texel(first)), textureLoad(output_grad, texel(first + 1u)), i);
}

/// Four floats of a run, from `k` on; 0 outside the map. What is above and to the left of it wraps round to huge numbers.
/// A read beyond a texture gives some number in WGSL; that, and what is behind the run, makes sums that are not stored.
fn input_at(n: u32, y: u32, x: u32, k: u32) -> vec4<f32> {
    let column = vec4(x * in_channels + k) + vec4(0u, 1u, 2u, 3u);
    let inside = vec4(y < in_height) & (column < vec4(in_width * in_channels));
    let i = (n * in_height + y) * in_width * in_channels + column.x;
    return select(vec4(0.0), input_four_at(i), inside);
}

/// The gradients of a window's positions, of which in each channel at most one is not 0.
fn grads_at(window: u32, quad: u32) -> mat4x4<f32> {
    let i = window * out_channels + quad * 4u;
    let grad = output_grad_four_at(i);
    let code = unpack4xU8(textureLoad(argmax, texel(window * quads + quad)).x);
    return mat4x4(
        select(vec4(0.0), grad, code == vec4(0u)),
        select(vec4(0.0), grad, code == vec4(1u)),
        select(vec4(0.0), grad, code == vec4(2u)),
        select(vec4(0.0), grad, code == vec4(3u)),
    );
}

/// Which of four neighbouring output channels there are.
fn is_output(o: u32) -> vec4<bool> {
    return vec4(o) + vec4(0u, 1u, 2u, 3u) < vec4(out_channels);
}

fn put_weight(row: u32, o: u32, values: vec4<f32>) {
    let i = row * out_channels + o;
    let inside = is_output(o);
    if inside.x { weight_grad_partial[i] = values.x; }
    if inside.y { weight_grad_partial[i + 1u] = values.y; }
    if inside.z { weight_grad_partial[i + 2u] = values.z; }
    if inside.w { weight_grad_partial[i + 3u] = values.w; }
}

fn store(chunk: u32, run_quad: u32, quad: u32, sums: mat4x4<f32>) {
    if run_quad >= kernel * run_quads { return; }
    let k = run_quad % run_quads * 4u;
    let row = (chunk * kernel + run_quad / run_quads) * run + k;
    put_weight(row, quad * 4u, sums[0]);
    if k + 1u < run { put_weight(row + 1u, quad * 4u, sums[1]); }
    if k + 2u < run { put_weight(row + 2u, quad * 4u, sums[2]); }
    if k + 3u < run { put_weight(row + 3u, quad * 4u, sums[3]); }
}

fn put_bias(chunk: u32, o: u32, values: vec4<f32>) {
    let i = chunk * out_channels + o;
    let inside = is_output(o);
    if inside.x { bias_grad_partial[i] = values.x; }
    if inside.y { bias_grad_partial[i + 1u] = values.y; }
    if inside.z { bias_grad_partial[i + 2u] = values.z; }
    if inside.w { bias_grad_partial[i + 3u] = values.w; }
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
    let first = group.x * 8u;
    let ky = (first + lane % 8u) / run_quads;
    let k = (first + lane % 8u) % run_quads * 4u;

    var bias_grad = vec4(0.0);
    var s0 = mat4x4<f32>();
    var s1 = mat4x4<f32>();
    var s2 = mat4x4<f32>();
    var s3 = mat4x4<f32>();
    var s4 = mat4x4<f32>();
    var s5 = mat4x4<f32>();
    var s6 = mat4x4<f32>();
    var s7 = mat4x4<f32>();
    let end = min((chunk + 1u) * samples_per_chunk, batch);
    for (var n = chunk * samples_per_chunk; n < end; n++) {
        for (var window_y = 0u; window_y < pooled_height; window_y++) {
            for (var window_x = 0u; window_x < pooled_width; window_x++) {
                let grads = grads_at((n * pooled_height + window_y) * pooled_width + window_x, quad);
                let y = window_y * 2u + ky - before;
                let x = window_x * 2u - before;
                let p0 = input_at(n, y, x, k);
                let p1 = input_at(n, y, x + 1u, k);
                let p2 = input_at(n, y + 1u, x, k);
                let p3 = input_at(n, y + 1u, x + 1u, k);
                bias_grad += grads * vec4(1.0);
                s0 += grads * transpose(mat4x4(subgroupBroadcast(p0, 0u), subgroupBroadcast(p1, 0u), subgroupBroadcast(p2, 0u), subgroupBroadcast(p3, 0u)));
                s1 += grads * transpose(mat4x4(subgroupBroadcast(p0, 1u), subgroupBroadcast(p1, 1u), subgroupBroadcast(p2, 1u), subgroupBroadcast(p3, 1u)));
                s2 += grads * transpose(mat4x4(subgroupBroadcast(p0, 2u), subgroupBroadcast(p1, 2u), subgroupBroadcast(p2, 2u), subgroupBroadcast(p3, 2u)));
                s3 += grads * transpose(mat4x4(subgroupBroadcast(p0, 3u), subgroupBroadcast(p1, 3u), subgroupBroadcast(p2, 3u), subgroupBroadcast(p3, 3u)));
                s4 += grads * transpose(mat4x4(subgroupBroadcast(p0, 4u), subgroupBroadcast(p1, 4u), subgroupBroadcast(p2, 4u), subgroupBroadcast(p3, 4u)));
                s5 += grads * transpose(mat4x4(subgroupBroadcast(p0, 5u), subgroupBroadcast(p1, 5u), subgroupBroadcast(p2, 5u), subgroupBroadcast(p3, 5u)));
                s6 += grads * transpose(mat4x4(subgroupBroadcast(p0, 6u), subgroupBroadcast(p1, 6u), subgroupBroadcast(p2, 6u), subgroupBroadcast(p3, 6u)));
                s7 += grads * transpose(mat4x4(subgroupBroadcast(p0, 7u), subgroupBroadcast(p1, 7u), subgroupBroadcast(p2, 7u), subgroupBroadcast(p3, 7u)));
            }
        }
    }
    store(chunk, first, quad, s0);
    store(chunk, first + 1u, quad, s1);
    store(chunk, first + 2u, quad, s2);
    store(chunk, first + 3u, quad, s3);
    store(chunk, first + 4u, quad, s4);
    store(chunk, first + 5u, quad, s5);
    store(chunk, first + 6u, quad, s6);
    store(chunk, first + 7u, quad, s7);
    if first == 0u {
        put_bias(chunk, quad * 4u, bias_grad);
    }
}
