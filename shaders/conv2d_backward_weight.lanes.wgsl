// Gradient of a convolution with respect to its weights, one partial sum for each chunk of samples, a register tile of
// 4 neighbouring kernel positions by 16 output channels for each invocation.
//
//   weight_grad_partial[chunk,o,c,ky,kx] =
//       sum over the chunk's n and all y, x of output_grad[n,o,y,x] * input[n, c, y + ky - before, x + kx - before]
//
// with zeros outside the input; `chunk_sum` adds the chunks in order. All invocations of a subgroup share a chunk and
// the gradients. A window of 4 neighbouring inputs slides along the row. Needs subgroups of 8 lanes or more.
//
// Parts: linear, conv2d, chunks, conv2d_input, outer, channel_products, put_tile.
// CPU twin: Conv2dBackwardWeight in src/ops/conv2d.rs.

override tiles_per_row: u32 = (kernel + 3u) / 4u;
override groups_per_chunk: u32 = (in_channels * kernel * tiles_per_row + workgroup_size - 1u) / workgroup_size;

@group(0) @binding(1) var<storage, read> output_grad: array<f32>;                // [batch, out_channels, out_height, out_width]
@group(0) @binding(2) var<storage, read_write> weight_grad_partial: array<f32>;  // [chunks, o, c, ky, kx]

/// Chunk, input channel and kernel's row of the invocation's positions.
var<private> chunk: u32;
var<private> c: u32;
var<private> ky: u32;

fn put(o: u32, kx: u32, sums: vec4<f32>) {
    if o >= out_channels || c >= in_channels { return; }
    let row = (((chunk * out_channels + o) * in_channels + c) * kernel + ky) * kernel;
    for (var j = 0u; j < 4u; j++) {
        if kx + j < kernel { weight_grad_partial[row + kx + j] = sums[j]; }
    }
}

@compute @workgroup_size(workgroup_size)
fn conv2d_backward_weight(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last tile help to load gradients, and store nothing.
    let i = group.x % groups_per_chunk * workgroup_size + local;
    let kx = i % tiles_per_row * 4u;
    ky = i / tiles_per_row % kernel;
    c = i / (tiles_per_row * kernel);
    // Compilers see that a local constant is the same for the whole workgroup, as broadcasts need, but not that a variable is.
    let own_chunk = group.x / groups_per_chunk;
    chunk = own_chunk;
    let o = group.z * 16u;

    // The sums of channels beyond the last one are not stored.
    let low_channel = o + lane % 8u;
    let high_channel = low_channel + 8u;
    for (var n = own_chunk * samples_per_chunk; n < end_of_chunk(own_chunk); n++) {
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
                add_products(window, output_grad[low_row + x], output_grad[high_row + x]);
            }
        }
    }
    put_tiles(o, kx);
}
