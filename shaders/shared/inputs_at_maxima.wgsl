// What the maxima of pooled windows multiply: for each position of a kernel of 3x3, the inputs at the maxima's places.
//
// A window sees a patch of 4x4 positions, of which each of the first 8 lanes loads two. Two rows of the patch lie in 8 lanes,
// and a shuffle fetches from them, for each channel, the input at its maximum. So a window takes nine products, not 36. The
// sums of two windows are added before they go back to the stack.
// Needs from the kernel: Seen, what is loaded of a position; seen_at(n, y, x, c); add_tap(ky, kx), which adds to its sums.

@group(0) @binding(0) var input: Texels;  // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var output_grad: Texels;  // [batch, pooled_height, pooled_width, out_channels]
@group(0) @binding(2) var argmax: texture_storage_2d<r32uint, read>;  // [batch, pooled_height, pooled_width, quads]
@group(0) @binding(3) var<storage, read_write> weight_grad_partial: array<vec4<f32>>;  // [chunks, ky, kx, c, o]
@group(0) @binding(4) var<storage, read_write> bias_grad_partial: array<vec4<f32>>;  // [chunks, out_channels]

/// The patches of two windows: rows 0 and 1, rows 2 and 1, rows 2 and 3. Lanes 0 to 3 hold the first row of a pair, lanes 4 to 7
/// the second.
var<private> seen: array<array<Seen, 3>, 2>;

/// For both windows and four output channels, the lanes that hold the maxima's positions in rows 0 and 1.
var<private> places: array<vec4<u32>, 2>;

/// The gradients of the maxima of both windows.
var<private> grads: array<vec4<f32>, 2>;

/// The sum of these gradients.
var<private> bias_grad: vec4<f32>;

fn load_patch(i: u32, window: u32, lane: u32, c: u32) {
    let n = window / pooled_area;
    let y = window / pooled_width % pooled_height * 2u - before + lane / 4u;
    let x = window % pooled_width * 2u - before + lane % 4u;
    let above = seen_at(n, y, x, c);
    let below = seen_at(n, y + 2u, x, c);
    seen[i] = array(above, select(above, below, lane < 4u), below);
}

fn load_grads(i: u32, window: u32, quad: u32, is_there: bool) {
    let codes = codes_at(window, quad);
    grads[i] = select(vec4(0.0), grad_at(window, quad), vec4(is_there) & (codes != vec4(255u)));
    places[i] = (codes & vec4(2u)) * 2u + (codes & vec4(1u));  // some lane where there is no maximum
}

/// For four output channels, the inputs of a row of the patch that their maxima multiply. Rows 1 and 2 have changed places.
fn at_maxima(i: u32, ky: u32, kx: u32, row: f32) -> vec4<f32> {
    let lanes = select(places[i], places[i] ^ vec4(4u), ky == 1u) + kx;
    return vec4(
        subgroupShuffle(row, lanes.x), subgroupShuffle(row, lanes.y),
        subgroupShuffle(row, lanes.z), subgroupShuffle(row, lanes.w),
    );
}

/// Adds the windows of a chunk, for the input channels from `c` on.
fn add_chunk(chunk: u32, quad: u32, c: u32, lane: u32) {
    let end = end_of_chunk(chunk) * pooled_area;
    for (var window = chunk * samples_per_chunk * pooled_area; window < end; window += 2u) {
        let next = min(window + 1u, end - 1u);
        load_patch(0u, window, lane % 8u, c);
        load_patch(1u, next, lane % 8u, c);
        load_grads(0u, window, quad, true);
        load_grads(1u, next, quad, next > window);
        add_tap(0u, 0u); add_tap(0u, 1u); add_tap(0u, 2u);
        add_tap(1u, 0u); add_tap(1u, 1u); add_tap(1u, 2u);
        add_tap(2u, 0u); add_tap(2u, 1u); add_tap(2u, 2u);
        bias_grad += grads[0] + grads[1];
    }
}
