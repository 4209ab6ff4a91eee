// Convolution with stride 1 and bias, ReLU and max-pooling over windows of 2x2, for GPUs; a workgroup for a tile of 32 windows
// by some quads of channels, of which each invocation has two windows and four channels: 2 tiles of 4 channels by the 4
// positions of a window, in registers.
//
//   map[n,y,x,o]      = bias[o] + sum over ky, kx, c of input[n, y + ky - before, x + kx - before, c] * weight[ky,kx,c,o]
//   output[n,y,x,o]   = max(0, max over dy, dx of map[n, y * 2 + dy, x * 2 + dx, o])
//   argmax[n,y,x,o/4] = for each of four channels a byte: dy * 2 + dx of the first of the largest, 255 where it is not above 0
//
// with zeros outside the input. The sum's terms ky, kx, c are numbered as they lie in `weight`. A slice of them at a time, the
// workgroup loads the inputs and the weights of its tile into its memory, neighbouring invocations neighbouring terms or
// channels; then each term is an outer product of four weights and a window's four inputs. Needs a number of output channels
// that is a multiple of 4. The method is cuDNN's (Chetlur et al. 2014): a blocked product of matrices, of which that of the
// inputs is made in the workgroup's memory only.
// CPU twin: ConvReluPoolForward in src/ops/conv_relu_pool.rs.

override batch: u32;
override in_channels: u32;
override in_height: u32;
override in_width: u32;
override out_channels: u32;
override kernel: u32;
override padding: u32;
override pool: u32;  // 2
override slice: u32;  // terms in the workgroup's memory at a time, at most as many as lanes
override workgroup_size: u32;  // lanes times the tile's quads

/// Invocations that share a quad of channels.
const lanes = 16u;
const tile_windows = 2u * lanes;
/// The distance of two terms in `inputs`: by one more than a tile, neighbouring terms lie in different banks of the memory.
const pitch = tile_windows + 1u;

override before: u32 = padding / 2u;
override pooled_height: u32 = (in_height + padding - kernel + 1u) / 2u;
override pooled_width: u32 = (in_width + padding - kernel + 1u) / 2u;
override windows: u32 = batch * pooled_height * pooled_width;
override quads: u32 = out_channels / 4u;
override tile_quads: u32 = workgroup_size / lanes;
override run: u32 = kernel * in_channels;  // the floats of a row of the kernel
override terms: u32 = kernel * run;
override row: u32 = in_width * in_channels;  // the floats of a row of the input

@group(0) @binding(0) var<storage, read> input: array<f32>;               // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;        // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;          // [out_channels]
@group(0) @binding(3) var<storage, read_write> output: array<vec4<f32>>;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(4) var<storage, read_write> argmax: array<u32>;        // [batch, pooled_height, pooled_width, quads]

/// For each term of the slice, the inputs of the windows' four positions.
var<workgroup> inputs: array<vec4<f32>, slice * pitch>;
/// For each term of the slice, the weights of the tile's channels.
var<workgroup> weights: array<vec4<f32>, slice * tile_quads>;

/// What a term multiplies at the four positions of a window; 0 outside the map and behind the last term. What is above and to
/// the left of the map wraps round to huge numbers. A read beyond a buffer gives some number in WGSL, which here and below is
/// not used.
fn inputs_at(window: u32, term: u32) -> vec4<f32> {
    let n = window / (pooled_height * pooled_width);
    let y = window / pooled_width % pooled_height * 2u + term / run - before;
    let column = (window % pooled_width * 2u - before) * in_channels + term % run;
    let rows = vec4(y, y, y + 1u, y + 1u);
    let columns = vec4(column, column + in_channels, column, column + in_channels);
    let inside = (rows < vec4(in_height)) & (columns < vec4(row)) & vec4(term < terms);
    let i = (vec4(n * in_height) + rows) * row + columns;
    return select(vec4(0.0), vec4(input[i.x], input[i.y], input[i.z], input[i.w]), inside);
}

fn outer(weight: vec4<f32>, inputs: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(weight * inputs.x, weight * inputs.y, weight * inputs.z, weight * inputs.w);
}

fn store(window: u32, quad: u32, map: mat4x4<f32>) {
    if window >= windows || quad >= quads { return; }
    // A later one takes over only where it is larger.
    let first_row = max(map[0], map[1]);
    let second_row = max(map[2], map[3]);
    let largest = max(first_row, second_row);
    let code_of_largest = select(select(vec4(0u), vec4(1u), map[1] > map[0]), select(vec4(2u), vec4(3u), map[3] > map[2]), second_row > first_row);
    let code = select(vec4(255u), code_of_largest, largest > vec4(0.0));
    output[window * quads + quad] = max(largest, vec4(0.0));
    argmax[window * quads + quad] = pack4xU8(code);
}

@compute @workgroup_size(workgroup_size)
fn conv_relu_pool_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // No invocation may leave early: those beyond the last window or channel help to load, and store nothing.
    let first_window = (group.x + group.y * groups.x) * tile_windows;
    let first_quad = group.z * tile_quads;
    let quad = local % tile_quads;
    let lane = local / tile_quads;

    let four = bias[first_quad + quad];
    var s0 = mat4x4(four, four, four, four);
    var s1 = s0;
    for (var first = 0u; first < terms; first += slice) {
        for (var i = local; i < slice * tile_windows; i += workgroup_size) {
            inputs[i % slice * pitch + i / slice] = inputs_at(first_window + i / slice, first + i % slice);
        }
        if lane < slice {
            // The weights of the last term where there is none, which its zeros take away.
            weights[local] = weight[min(first + lane, terms - 1u) * quads + first_quad + quad];
        }
        workgroupBarrier();
        for (var k = 0u; k < slice; k++) {
            let factors = weights[k * tile_quads + quad];
            s0 += outer(factors, inputs[k * pitch + lane]);
            s1 += outer(factors, inputs[k * pitch + lane + lanes]);
        }
        workgroupBarrier();
    }
    store(first_window + lane, first_quad + quad, s0);
    store(first_window + lane + lanes, first_quad + quad, s1);
}
