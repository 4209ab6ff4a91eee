// Convolution with stride 1 and bias, ReLU and max-pooling over windows of 2x2; a workgroup for 8 windows, in which each
// invocation has four neighbouring output channels: 8 tiles of 4 channels by the 4 positions of a window, in registers.
//
//   map[n,y,x,o]      = bias[o] + sum over ky, kx, c of input[n, y + ky - before, x + kx - before, c] * weight[ky,kx,c,o]
//   output[n,y,x,o]   = max(0, max over dy, dx of map[n, y * 2 + dy, x * 2 + dx, o])
//   argmax[n,y,x,o/4] = for each of four channels a byte: dy * 2 + dx of the first of the largest, 255 where it is not above 0
//
// with zeros outside the input. All invocations need the same inputs at a time: each of the first 8 lanes loads those of one
// window for the others. Four floats of a run at a time, a tile takes one product of 4x4 matrices. Needs subgroups of 8 lanes
// or more.
// Parts: conv2d, runs, conv_relu_pool, tiles, lane_products, texels, texels_f16 or texels_f32, input_texels, weight_texels,
// run_input, run_weight, maxima, maxima_floats or maxima_fours.
// CPU twin: ConvReluPoolForward in src/ops/conv_relu_pool.rs.

@group(0) @binding(0) var input: Texels;                    // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var weight: Texels;                   // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<f32>;  // [out_channels]

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last channel help to load inputs, and store nothing.
    let quad = group.z * workgroup_size + local;
    let first = tile_index(group, groups) * 8u;
    let window = first + lane % 8u;
    let n = window / pooled_area;
    let y = window / pooled_width % pooled_height * 2u - before;
    let x = window % pooled_width * 2u - before;

    let o = quad * 4u;
    let four = vec4(bias[o], bias[o + 1u], bias[o + 2u], bias[o + 3u]);
    let biases = mat4x4(four, four, four, four);
    tiles = array(biases, biases, biases, biases, biases, biases, biases, biases);
    for (var k = 0u; k < run; k += 4u) {
        // The second row of a window at one row of the kernel is the first at the next.
        var next_row = mat2x4(input_at(n, y, x, k), input_at(n, y, x + 1u, k));
        for (var ky = 0u; ky < kernel; ky++) {
            let row = next_row;
            next_row = mat2x4(input_at(n, y + ky + 1u, x, k), input_at(n, y + ky + 1u, x + 1u, k));
            let seen = mat4x4(row[0], row[1], next_row[0], next_row[1]);
            add_products(weights_at(ky * run + k, quad), seen);
        }
    }
    store(first, quad, tiles[0]); store(first + 1u, quad, tiles[1]); store(first + 2u, quad, tiles[2]);
    store(first + 3u, quad, tiles[3]); store(first + 4u, quad, tiles[4]); store(first + 5u, quad, tiles[5]);
    store(first + 6u, quad, tiles[6]); store(first + 7u, quad, tiles[7]);
}
