// Convolution with stride 1 and bias, ReLU and max-pooling; one invocation for four neighbouring output channels of a window.
//
//   map[n,y,x,o]      = bias[o] + sum over ky, kx, c of input[n, y + ky - before, x + kx - before, c] * weight[ky,kx,c,o]
//   output[n,y,x,o]   = max(0, max over dy, dx of map[n, y * pool + dy, x * pool + dx, o])
//   argmax[n,y,x,o/4] = for each of four channels a byte: dy * pool + dx of the first of the largest, 255 where it is not above 0
//
// with zeros outside the input. Channels beyond the last have the byte 255.
//
// Its variants are for windows of 2x2:
//
//   lanes            8 lanes load for each other: fastest on software adapters with subgroups for most sizes
//   lanes_any        the same for a number of output channels that is no multiple of 4
//   lanes_winograd   a third fewer products, for kernels of 3x3 and channels in fours: fastest there on software adapters with
//                    subgroups
//   lanes_3x3_grey   for a first layer, of one channel, by kernels of 3x3: fastest there on such adapters
//   blocks           a product of matrices by blocks in workgroup memory, for GPUs, and for software without subgroups
//   matrix8, matrix16  the same in half precision on matrix units
//
// Parts: conv2d, runs, conv_relu_pool, linear, floats_f16 or floats_f32.
// CPU twin: ConvReluPoolForward in src/ops/conv_relu_pool.rs.

@group(0) @binding(0) var<storage, read> input: array<Word>;         // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> weight: array<Word>;        // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<f32>;           // [out_channels]
@group(0) @binding(3) var<storage, read_write> output: array<Word>;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(4) var<storage, read_write> argmax: array<u32>;   // [batch, pooled_height, pooled_width, quads]

fn map_at(n: u32, y: u32, x: u32, o: u32) -> f32 {
    var sum = bias[o];
    for (var ky = 0u; ky < kernel; ky++) {
        for (var kx = 0u; kx < kernel; kx++) {
            // Positions above and to the left wrap round to huge numbers.
            let in_y = y + ky - before;
            let in_x = x + kx - before;
            if in_y >= in_height || in_x >= in_width { continue; }
            let pixel = ((n * in_height + in_y) * in_width + in_x) * in_channels;
            let tap = (ky * kernel + kx) * in_channels;
            for (var c = 0u; c < in_channels; c++) {
                let i = pixel + c;
                let k = (tap + c) * out_channels + o;
                sum += float_of(input[i / FLOATS_PER_WORD], i) * float_of(weight[k / FLOATS_PER_WORD], k);
            }
        }
    }
    return sum;
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_forward(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = linear_index(id, groups);
    if i >= windows * quads { return; }
    let window = i / quads;
    let n = window / pooled_area;
    let y = window / pooled_width % pooled_height * pool;
    let x = window % pooled_width * pool;
    let first = i % quads * 4u;
    var maxima = vec4(0.0);
    var codes = vec4(255u);
    for (var part = 0u; part < min(4u, out_channels - first); part++) {
        for (var place = 0u; place < pool * pool; place++) {
            let value = map_at(n, y + place / pool, x + place % pool, first + part);
            if value > maxima[part] {
                maxima[part] = value;
                codes[part] = place;
            }
        }
    }
    for (var part = 0u; part < min(4u, out_channels - first); part += FLOATS_PER_WORD) {
        output[(window * out_channels + first + part) / FLOATS_PER_WORD] = word_of(maxima, part);
    }
    argmax[i] = pack4xU8(codes);
}
