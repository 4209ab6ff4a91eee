// Gradients of convolution, ReLU and max-pooling over windows of 2x2 with respect to weights and bias, one partial sum for
// each chunk of samples, for GPUs and for software without subgroups; a workgroup for a tile of some input channels at all
// kernel positions by some quads of output channels.
//
//   weight_grad_partial[chunk,ky,kx,c,o] = sum over the chunk's windows n, y, x that have a maximum in channel o of
//       output_grad[n,y,x,o] * input[n, y * 2 + dy + ky - before, x * 2 + dx + kx - before, c]
//   bias_grad_partial[chunk,o]           = sum over the same of output_grad[n,y,x,o]
//
// where argmax holds dy * 2 + dx, with zeros outside the input; the chunks are added in order later. A window's gradient in a
// channel meets one position, that of the maximum, so that three quarters of the convolution's products are never made.
//
// The workgroup loads the maps of some samples, those channels and the padding, into its memory. An invocation sums, for eight
// weights of its tile and four output channels, over every `splits`-th window, and these sums are added in pairs at the end.
// Neighbouring invocations have neighbouring weights, and read neighbouring inputs. Needs a number of output channels that is a
// multiple of 4.
// Parts: conv2d, runs, conv_relu_pool, chunks, tiles, split_sums.
// CPU twin: ConvReluPoolBackwardWeight in src/ops/conv_relu_pool/gradients.rs.

override tile_channels: u32;  // input channels of a tile
override tile_quads: u32;  // quads of output channels of a tile
override tile_samples: u32;  // samples in the workgroup's memory at a time

override tile_weights: u32 = kernel * kernel * tile_channels;  // of each output channel
override owners: u32 = (tile_weights + 7u) / 8u;  // invocations that have these, eight each
override tile: u32 = owners * tile_quads;
override splits: u32 = workgroup_size / tile;  // invocations that share a sum
// The part of a padded map that the windows' positions and the kernel reach.
override height: u32 = pooled_height * 2u + kernel - 1u;
override width: u32 = pooled_width * 2u + kernel - 1u;
override row: u32 = width * tile_channels;
override map: u32 = height * row;

@group(0) @binding(0) var<storage, read> input: array<f32>;  // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> output_grad: array<vec4<f32>>;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(2) var<storage, read> argmax: array<u32>;  // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(3) var<storage, read_write> weight_grad_partial: array<vec4<f32>>;  // [chunks, ky, kx, c, o]
@group(0) @binding(4) var<storage, read_write> bias_grad_partial: array<vec4<f32>>;  // [chunks, out_channels]

var<workgroup> pixels: array<f32, tile_samples * map>;

alias Part = vec4<f32>;

/// An element of a sample's map as it lies in `pixels`; 0 in the padding. What is above and to the left of the input wraps
/// round to huge numbers. A read beyond a buffer gives some number in WGSL, which here and below is not used.
fn pixel_at(n: u32, first_c: u32, i: u32) -> f32 {
    let y = i / row - before;
    let x = i % row / tile_channels - before;
    let c = first_c + i % tile_channels;
    let inside = y < in_height && x < in_width;
    return select(0.0, input[((n * in_height + y) * in_width + x) * in_channels + c], inside);
}

/// Where the input of the tile's `number`-th weight stands in `pixels` relative to the position; of the last one behind it.
fn offset_of(number: u32) -> u32 {
    let i = min(number, tile_weights - 1u);
    let tap = i / tile_channels;
    return tap / kernel * row + tap % kernel * tile_channels + i % tile_channels;
}

/// The inputs at the positions of four channels' maxima.
fn inputs_at(places: vec4<u32>, offset: u32) -> vec4<f32> {
    return vec4(pixels[places.x + offset], pixels[places.y + offset], pixels[places.z + offset], pixels[places.w + offset]);
}

fn store(chunk: u32, first_c: u32, i: u32, quad: u32, sums: vec4<f32>) {
    let c = first_c + i % tile_channels;
    if i >= tile_weights || c >= in_channels || quad >= quads { return; }
    let tap = i / tile_channels;
    weight_grad_partial[((chunk * kernel * kernel + tap) * in_channels + c) * quads + quad] = sums;
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_backward_weight(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    // No invocation may leave early: those beyond the last weight or channel help to load, and store nothing.
    let chunk = group.z;
    let first_c = group.x * tile_channels;
    let quad = group.y * tile_quads + local % tile / owners;
    let owner = local % owners;
    let at0 = offset_of(owner);
    let at1 = offset_of(owner + owners);
    let at2 = offset_of(owner + 2u * owners);
    let at3 = offset_of(owner + 3u * owners);
    let at4 = offset_of(owner + 4u * owners);
    let at5 = offset_of(owner + 5u * owners);
    let at6 = offset_of(owner + 6u * owners);
    let at7 = offset_of(owner + 7u * owners);

    var bias_grad = vec4(0.0);
    var s0 = vec4(0.0);
    var s1 = vec4(0.0);
    var s2 = vec4(0.0);
    var s3 = vec4(0.0);
    var s4 = vec4(0.0);
    var s5 = vec4(0.0);
    var s6 = vec4(0.0);
    var s7 = vec4(0.0);
    let end = end_of_chunk(chunk);
    for (var first = chunk * samples_per_chunk; first < end; first += tile_samples) {
        for (var i = local; i < tile_samples * map; i += workgroup_size) {
            pixels[i] = pixel_at(first + i / map, first_c, i % map);
        }
        workgroupBarrier();
        for (var window = local / tile; window < min(tile_samples, end - first) * pooled_area; window += splits) {
            let i = (first * pooled_area + window) * quads + quad;
            let code = unpack4xU8(argmax[i]);
            let grad = select(vec4(0.0), output_grad[i], code != vec4(255u));
            let y = vec4(window % pooled_area / pooled_width * 2u) + ((code >> vec4(1u)) & vec4(1u));
            let x = vec4(window % pooled_width * 2u) + (code & vec4(1u));
            let places = vec4(window / pooled_area * map) + y * row + x * tile_channels;
            bias_grad += grad;
            s0 += grad * inputs_at(places, at0);
            s1 += grad * inputs_at(places, at1);
            s2 += grad * inputs_at(places, at2);
            s3 += grad * inputs_at(places, at3);
            s4 += grad * inputs_at(places, at4);
            s5 += grad * inputs_at(places, at5);
            s6 += grad * inputs_at(places, at6);
            s7 += grad * inputs_at(places, at7);
        }
        workgroupBarrier();
    }

    // Invocations of the other splits have parts of sums, which they must not store.
    let own_quad = select(quads, quad, local < tile);
    store(chunk, first_c, owner, own_quad, total(local, s0, tile));
    store(chunk, first_c, owner + owners, own_quad, total(local, s1, tile));
    store(chunk, first_c, owner + 2u * owners, own_quad, total(local, s2, tile));
    store(chunk, first_c, owner + 3u * owners, own_quad, total(local, s3, tile));
    store(chunk, first_c, owner + 4u * owners, own_quad, total(local, s4, tile));
    store(chunk, first_c, owner + 5u * owners, own_quad, total(local, s5, tile));
    store(chunk, first_c, owner + 6u * owners, own_quad, total(local, s6, tile));
    store(chunk, first_c, owner + 7u * owners, own_quad, total(local, s7, tile));
    let bias_sum = total(local, bias_grad, tile);
    if first_c + owner == 0u && own_quad < quads {
        bias_grad_partial[chunk * quads + quad] = bias_sum;
    }
}
