// Convolution with stride 1 and bias, ReLU and max-pooling in half precision; one invocation for four neighbouring channels
// of a window.
//
//   map[n,y,x,o]      = bias[o] + sum over ky, kx, c of input[n, y + ky - before, x + kx - before, c] * weight[ky,kx,c,o]
//   output[n,y,x,o]   = max(0, max over dy, dx of map[n, y * pool + dy, x * pool + dx, o])
//   argmax[n,y,x,o/4] = for each of four channels a byte: dy * pool + dx of the first of the largest, 255 where it is not above 0
//
// with zeros outside the input. Channels beyond the last have the byte 255. 16-bit floats lie two to a word, the first in the
// lower bits; sums are added up in 32 bits.
// CPU twin: ConvReluPoolForward in src/ops/conv_relu_pool/half.rs.

override batch: u32;
override in_channels: u32;
override in_height: u32;
override in_width: u32;
override out_channels: u32;  // even
override kernel: u32;
override padding: u32;
override pool: u32;
override workgroup_size: u32;

override before: u32 = padding / 2u;
override pooled_height: u32 = (in_height + padding - kernel + 1u) / pool;
override pooled_width: u32 = (in_width + padding - kernel + 1u) / pool;
override quads: u32 = (out_channels + 3u) / 4u;

@group(0) @binding(0) var<storage, read> input: array<u32>;         // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> weight: array<u32>;        // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<f32>;          // [out_channels]
@group(0) @binding(3) var<storage, read_write> output: array<u32>;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(4) var<storage, read_write> argmax: array<u32>;  // [batch, pooled_height, pooled_width, quads]

/// An element of weight, widened.
fn weight_at(i: u32) -> f32 {
    return unpack2x16float(weight[i / 2u])[i % 2u];
}

/// An element of input, widened.
fn input_at(i: u32) -> f32 {
    return unpack2x16float(input[i / 2u])[i % 2u];
}

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
                sum += input_at(pixel + c) * weight_at((tap + c) * out_channels + o);
            }
        }
    }
    return sum;
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_forward_f16(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = id.x + id.y * groups.x * workgroup_size;
    if i >= batch * pooled_height * pooled_width * quads { return; }
    let window = i / quads;
    let n = window / (pooled_height * pooled_width);
    let y = window / pooled_width % pooled_height * pool;
    let x = window % pooled_width * pool;
    let first = i % quads * 4u;
    var codes = 0u;
    var maxima = vec4(0.0);
    for (var channel = 0u; channel < 4u; channel++) {
        let o = first + channel;
        var code = 255u;
        if o < out_channels {
            var largest = 0.0;
            for (var place = 0u; place < pool * pool; place++) {
                let value = map_at(n, y + place / pool, x + place % pool, o);
                if value > largest {
                    largest = value;
                    code = place;
                }
            }
            maxima[channel] = largest;
        }
        codes |= code << (8u * channel);
    }
    let word = (window * out_channels + first) / 2u;
    output[word] = pack2x16float(maxima.xy);
    if first + 2u < out_channels { output[word + 1u] = pack2x16float(maxima.zw); }
    argmax[i] = codes;
}
