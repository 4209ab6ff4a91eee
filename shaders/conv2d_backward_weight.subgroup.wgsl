// Gradient of a convolution with respect to its weights, one partial sum for each chunk of samples, a register tile of
// 4 neighbouring kernel positions by 16 output channels for each invocation.
//
//   weight_grad_partial[chunk,o,c,ky,kx] =
//       sum over the chunk's n and all y, x of output_grad[n,o,y,x] * input[n, c, y + ky - before, x + kx - before]
//
// with zeros outside the input; `chunk_sum` adds the chunks in order. All invocations of a subgroup share a chunk and
// need the same 16 gradients at a time: each of the first 8 lanes loads two of them and broadcasts them to the others.
// A window of 4 neighbouring inputs slides along the row. Needs subgroups of 8 lanes or more.
// CPU twin: Conv2dBackwardWeight in src/ops/conv2d.rs.

override batch: u32;
override in_channels: u32;
override in_height: u32;
override in_width: u32;
override out_channels: u32;
override kernel: u32;
override padding: u32;
override samples_per_chunk: u32;
override workgroup_size: u32;

override out_height: u32 = in_height + padding - kernel + 1u;
override out_width: u32 = in_width + padding - kernel + 1u;
override before: u32 = padding / 2u;
override tiles_per_row: u32 = (kernel + 3u) / 4u;
override tiles: u32 = in_channels * kernel * tiles_per_row;
override groups_per_chunk: u32 = (tiles + workgroup_size - 1u) / workgroup_size;

@group(0) @binding(0) var<storage, read> input: array<f32>;                      // [batch, in_channels, in_height, in_width]
@group(0) @binding(1) var<storage, read> output_grad: array<f32>;                // [batch, out_channels, out_height, out_width]
@group(0) @binding(2) var<storage, read_write> weight_grad_partial: array<f32>;  // [chunks, out_channels, in_channels, kernel, kernel]

/// The input at a position of a plane, 0 outside; those above and to the left wrap round to huge numbers. A
/// read beyond a buffer gives some number in WGSL, which here and below is not used.
fn input_at(plane: u32, y: u32, x: u32) -> f32 {
    let inside = y < in_height && x < in_width;
    return select(0.0, input[(plane * in_height + y) * in_width + x], inside);
}

fn store(chunk: u32, o: u32, c: u32, ky: u32, kx: u32, sum: vec4<f32>) {
    if o >= out_channels || c >= in_channels { return; }
    let row = (((chunk * out_channels + o) * in_channels + c) * kernel + ky) * kernel;
    for (var i = 0u; i < min(4u, kernel - kx); i++) {
        weight_grad_partial[row + kx + i] = sum[i];
    }
}

@compute @workgroup_size(workgroup_size)
fn conv2d_backward_weight(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last tile help to load gradients, and store nothing.
    let chunk = group.x / groups_per_chunk;
    let i = group.x % groups_per_chunk * workgroup_size + local;
    let kx = i % tiles_per_row * 4u;
    let ky = i / tiles_per_row % kernel;
    let c = i / (tiles_per_row * kernel);
    let o = group.z * 16u;

    // The sums of channels beyond the last one are not stored.
    let low_channel = o + lane % 8u;
    let high_channel = o + 8u + lane % 8u;

    var s0 = vec4(0.0); var s1 = vec4(0.0); var s2 = vec4(0.0); var s3 = vec4(0.0);
    var s4 = vec4(0.0); var s5 = vec4(0.0); var s6 = vec4(0.0); var s7 = vec4(0.0);
    var s8 = vec4(0.0); var s9 = vec4(0.0); var s10 = vec4(0.0); var s11 = vec4(0.0);
    var s12 = vec4(0.0); var s13 = vec4(0.0); var s14 = vec4(0.0); var s15 = vec4(0.0);
    let end = min((chunk + 1u) * samples_per_chunk, batch);
    for (var n = chunk * samples_per_chunk; n < end; n++) {
        let plane = n * in_channels + c;
        for (var y = 0u; y < out_height; y++) {
            let in_y = y + ky - before;
            let in_x = kx - before;
            let low_row = ((n * out_channels + low_channel) * out_height + y) * out_width;
            let high_row = ((n * out_channels + high_channel) * out_height + y) * out_width;
            var before_x = vec3(input_at(plane, in_y, in_x), input_at(plane, in_y, in_x + 1u), input_at(plane, in_y, in_x + 2u));
            for (var x = 0u; x < out_width; x++) {
                let window = vec4(before_x, input_at(plane, in_y, in_x + 3u + x));
                before_x = window.yzw;
                let low = output_grad[low_row + x];
                let high = output_grad[high_row + x];
                s0 += window * subgroupBroadcast(low, 0u);
                s1 += window * subgroupBroadcast(low, 1u);
                s2 += window * subgroupBroadcast(low, 2u);
                s3 += window * subgroupBroadcast(low, 3u);
                s4 += window * subgroupBroadcast(low, 4u);
                s5 += window * subgroupBroadcast(low, 5u);
                s6 += window * subgroupBroadcast(low, 6u);
                s7 += window * subgroupBroadcast(low, 7u);
                s8 += window * subgroupBroadcast(high, 0u);
                s9 += window * subgroupBroadcast(high, 1u);
                s10 += window * subgroupBroadcast(high, 2u);
                s11 += window * subgroupBroadcast(high, 3u);
                s12 += window * subgroupBroadcast(high, 4u);
                s13 += window * subgroupBroadcast(high, 5u);
                s14 += window * subgroupBroadcast(high, 6u);
                s15 += window * subgroupBroadcast(high, 7u);
            }
        }
    }
    store(chunk, o, c, ky, kx, s0);
    store(chunk, o + 1u, c, ky, kx, s1);
    store(chunk, o + 2u, c, ky, kx, s2);
    store(chunk, o + 3u, c, ky, kx, s3);
    store(chunk, o + 4u, c, ky, kx, s4);
    store(chunk, o + 5u, c, ky, kx, s5);
    store(chunk, o + 6u, c, ky, kx, s6);
    store(chunk, o + 7u, c, ky, kx, s7);
    store(chunk, o + 8u, c, ky, kx, s8);
    store(chunk, o + 9u, c, ky, kx, s9);
    store(chunk, o + 10u, c, ky, kx, s10);
    store(chunk, o + 11u, c, ky, kx, s11);
    store(chunk, o + 12u, c, ky, kx, s12);
    store(chunk, o + 13u, c, ky, kx, s13);
    store(chunk, o + 14u, c, ky, kx, s14);
    store(chunk, o + 15u, c, ky, kx, s15);
}
