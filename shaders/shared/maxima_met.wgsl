// What the maxima of pooled windows meet of the input at each position of a kernel of 3x3. A window sees a patch of 4x4 positions,
// of which each of the first 8 lanes loads two. Two rows of it are 8 lanes, out of which a shuffle fetches what the maximum of
// each channel meets, so that there are nine products for a window, not 36. Two windows are added to a sum at a time, before it
// goes back to the stack. A kernel says by `Seen` what of a position is loaded, by `seen_at`, and adds to its sums in `add_tap`.

/// The patches of two windows; of each a row in lanes 0 to 3 and another in lanes 4 to 7: rows 0 and 1, 2 and 1, 2 and 3.
var<private> seen: array<array<Seen, 3>, 2>;

/// Of both windows the lanes that have the maxima's positions in rows 0 and 1, for four output channels.
var<private> places: array<vec4<u32>, 2>;

/// Of both windows the gradients of the maxima.
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

/// What the maxima of four output channels meet in a row of the patch. Rows 1 and 2 have changed places.
fn met(i: u32, ky: u32, kx: u32, row: f32) -> vec4<f32> {
    let lanes = select(places[i], places[i] ^ vec4(4u), ky == 1u) + kx;
    return vec4(subgroupShuffle(row, lanes.x), subgroupShuffle(row, lanes.y), subgroupShuffle(row, lanes.z), subgroupShuffle(row, lanes.w));
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
