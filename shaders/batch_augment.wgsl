// The next batch of the resident data set, each image seen through a random map of its own, as normalised floats.
//
//   output[n,y,x,c] = image order[cursor * batch + n], interpolated at centre + right * (x - middle) + down * (y - middle)
//                     + displacement(x, y), blurred, its strokes thicker or thinner, times scale, plus shift
//   label[n]        = its label
//
// right, down and centre are random numbers of (seed, key) and (n, step). They, and all numbers but the result, are whole:
// amounts and maps have 14 fractional bits, places 8, grey levels 16, and shares of grey levels 7. Outside of an image is the
// byte 0; an index outside the data set means "no sample": zeros, and a label that is no class. One invocation computes `words`
// neighbouring words of one sample, in memory order; the first of an image also its label.
// `plain` has one word; `run`, for software, several, so that an invocation finds its map once for all of them.
//
// Parts: linear, floats_f16 or floats_f32, threefry, amounts, elastic_grid, elastic, batch_gather.
// CPU twin: BatchAugment in src/ops/augment.rs.

override width: u32;
override channels: u32;
override edge: bool;         // whether the edge goes on outside
override key: u32;
override most_turn: i32;     // the tangent of half the angle
override most_zoom: i32;
override most_stretch: i32;
override most_slant: i32;    // the tangent of the angle
override most_move: i32;     // with 8 fractional bits
override most_pen: i32;      // with 7 fractional bits
override most_blur: i32;     // with 7 fractional bits
override words: u32;         // a divisor of those of an image

override height: u32 = pixels / (width * channels);
override runs: u32 = pixels / (words * FLOATS_PER_WORD);

const BITS = 14u;
const ONE = 1i << BITS;

@group(0) @binding(4) var<storage, read_write> output: array<Word>;  // [batch, pixels]

/// How a sample's image is seen.
struct Map {
    /// How far the place moves per pixel to the right, and per pixel downwards.
    right: vec2<i32>,
    down: vec2<i32>,
    /// The place of the centre.
    centre: vec2<i32>,
    /// The share of the lightest or, below 0, of the darkest of four.
    pen: i32,
    /// The share of the mean of four.
    blur: i32,
}

/// The map of a sample.
fn map_of(n: u32) -> Map {
    let seed = vec2(clock[2], key);
    let bits = vec4(threefry(seed, vec2(2u * n, clock[0])), threefry(seed, vec2(2u * n + 1u, clock[0])));
    let low = amounts(bits & vec4(0xffffu), vec4(most_turn, most_stretch, most_move, most_pen));
    let high = amounts(bits >> vec4(16u), vec4(most_zoom, most_slant, most_move, most_blur));
    // A rotation by the tangent of half its angle.
    let turn = low.x;
    let square = (turn * turn) >> BITS;
    let cosine = ((ONE - square) << BITS) / (ONE + square);
    let sine = ((2 * turn) << BITS) / (ONE + square);
    let down = ONE + high.x;
    let right = (down * (ONE + low.y)) >> BITS;
    let slant = high.y;
    var map: Map;
    map.right = (vec2(cosine, sine) * right) >> vec2(BITS);
    map.down = vec2(cosine * slant - sine * down, sine * slant + cosine * down) >> vec2(BITS);
    map.centre = 128 * vec2(i32(width) - 1, i32(height) - 1) + vec2(low.z, high.z);
    map.pen = low.w;
    map.blur = abs(high.w);
    return map;
}

/// A byte of an image; outside of it that of the edge, or 0.
fn byte_at(index: u32, place: vec2<i32>, c: u32) -> i32 {
    // What is left of an image, or above it, is beyond it as a number without a sign.
    var at = vec2<u32>(place);
    if edge { at = vec2<u32>(clamp(place, vec2(0), vec2<i32>(vec2(width, height)) - 1)); }
    if at.x >= width || at.y >= height { return 0; }
    return i32(grey_of(index * pixels + (at.y * width + at.x) * channels + c));
}

/// A byte of a pixel as it is seen, with 16 fractional bits.
fn grey_at(map: Map, n: u32, index: u32, p: u32) -> i32 {
    let c = p % channels;
    let x = p / channels % width;
    let y = p / (channels * width);
    // Twice the distance from the centre is a whole number.
    let from_centre = vec2(2 * i32(x) - (i32(width) - 1), 2 * i32(y) - (i32(height) - 1));
    var place = map.centre + ((map.right * from_centre.x + map.down * from_centre.y) >> vec2(BITS - 7u));
    if most_elastic > 0 { place += displacement(n, x, y); }
    let first = place >> vec2(8u);
    let share = place & vec2(255);
    let four = vec4(
        byte_at(index, first, c),
        byte_at(index, first + vec2(1, 0), c),
        byte_at(index, first + vec2(0, 1), c),
        byte_at(index, first + vec2(1, 1), c),
    );
    let rows = four.xz * (256 - share.x) + four.yw * share.x;
    let sharp = rows.x * (256 - share.y) + rows.y * share.y;
    let mean = (four.x + four.y + four.z + four.w) << 14u;
    let blurred = sharp + (((mean - sharp) * map.blur) >> 7u);
    let lightest = max(max(four.x, four.y), max(four.z, four.w));
    let darkest = min(min(four.x, four.y), min(four.z, four.w));
    let extreme = select(darkest, lightest, map.pen > 0) << 16u;
    return blurred + (((extreme - blurred) * abs(map.pen)) >> 7u);
}

fn pixel_at(map: Map, n: u32, index: u32, p: u32) -> f32 {
    return f32(grey_at(map, n, index, p)) * (scale / 65536.0) + shift;
}

@compute @workgroup_size(workgroup_size)
fn batch_augment(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= batch * runs { return; }
    let run = i % runs;
    let n = i / runs;
    let index = index_of(n);
    let map = map_of(n);
    for (var word = 0u; word < words; word++) {
        let p = (run * words + word) * FLOATS_PER_WORD;
        var values = vec4(0.0);
        if index < count {
            values.x = pixel_at(map, n, index, p);
            if FLOATS_PER_WORD == 2u { values.y = pixel_at(map, n, index, p + 1u); }
        }
        output[i * words + word] = word_of(values, 0u);
    }
    if run == 0u { store_label(n, index); }
}
