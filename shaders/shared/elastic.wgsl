// The elastic deformation of an image: the displacement of each pixel, by a cubic B-spline through the grid. All numbers are
// whole: places in a cell have 9 fractional bits, weights 10, and displacements 8.

const CELL_BITS = 9u;
const CELL = 1i << CELL_BITS;
const WEIGHT = 1i << 10u;
/// Six times the cube of a cell, by what a weight is less.
const CUBES = 6i << 17u;

@group(0) @binding(6) var<storage, read> field: array<u32>;  // [batch, POINTS, POINTS]

/// The displacements of the four columns of points around a pixel, in its row: with 13 fractional bits.
struct Columns {
    /// Which row, cell and sample they are of, counted from 1.
    place: vec3<u32>,
    x: vec4<i32>,
    y: vec4<i32>,
}

/// Those of the pixel before, which its neighbours share.
var<private> columns: Columns;

/// The place of a pixel's middle in the grid along an axis.
fn place_in_grid(pixel: u32, side: u32) -> u32 {
    return (2u * pixel + 1u) * (CELLS << (CELL_BITS - 1u)) / side;
}

/// The weights of the four points around a place in a cell. Their sum is 1.
fn spline(place: u32) -> vec4<i32> {
    let after = i32(place) & (CELL - 1);
    let before = CELL - after;
    let first = before * before * before / CUBES;
    let second = ((3 * after - 6 * CELL) * after * after + (4 << (3u * CELL_BITS))) / CUBES;
    let last = after * after * after / CUBES;
    return vec4(first, second, WEIGHT - first - second - last, last);
}

/// Four points of a row.
fn points_at(i: u32) -> vec4<u32> {
    return vec4(field[i], field[i + 1u], field[i + 2u], field[i + 3u]);
}

/// The displacements of a row of points along x, and along y.
fn along_x(points: vec4<u32>) -> vec4<i32> {
    return vec4<i32>(points << vec4(16u)) >> vec4(16u);
}

fn along_y(points: vec4<u32>) -> vec4<i32> {
    return vec4<i32>(points) >> vec4(16u);
}

/// The displacement of a pixel of a sample.
fn displacement(n: u32, x: u32, y: u32) -> vec2<i32> {
    let across = place_in_grid(x, width);
    let cell = across >> CELL_BITS;
    let place = vec3(y, cell, n) + 1u;
    if any(columns.place != place) {
        let down = place_in_grid(y, height);
        let weights = spline(down);
        let i = (n * POINTS + (down >> CELL_BITS)) * POINTS + cell;
        let a = points_at(i);
        let b = points_at(i + POINTS);
        let c = points_at(i + 2u * POINTS);
        let d = points_at(i + 3u * POINTS);
        let sum_x = along_x(a) * weights.x + along_x(b) * weights.y + along_x(c) * weights.z + along_x(d) * weights.w;
        let sum_y = along_y(a) * weights.x + along_y(b) * weights.y + along_y(c) * weights.z + along_y(d) * weights.w;
        columns = Columns(place, sum_x >> vec4(5u), sum_y >> vec4(5u));
    }
    let weights = spline(across);
    return vec2(dot(columns.x, weights), dot(columns.y, weights)) >> vec2(15u);
}
