// A product of matrices on matrix units, of ROWS by COLUMNS for each workgroup. The workgroup loads one slab of both
// factors at a time into its memory. A subgroup multiplies the rows of a unit, half of the workgroup's, by all columns.
// Needs from the kernel: stage(slab, tile, local); LEFT_IS_TRANSPOSED and RIGHT_IS_TRANSPOSED, the order in memory of a factor.

const ROWS = 4u * SIZE;
const COLUMNS = 2u * SIZE;
const SLAB = 32u;
const UNITS = 2u;

var<workgroup> left: array<f16, ROWS * SLAB>;      // [ROWS, SLAB], or [SLAB, ROWS] where LEFT_IS_TRANSPOSED
var<workgroup> right: array<f16, SLAB * COLUMNS>;  // [SLAB, COLUMNS], or [COLUMNS, SLAB] where RIGHT_IS_TRANSPOSED
var<workgroup> sums: array<f32, ROWS * COLUMNS>;   // [ROWS, COLUMNS]

/// Four 16-bit floats as they lie in a buffer.
fn halves_of(words: vec2<u32>) -> vec4<f16> {
    return vec4<f16>(vec4(unpack2x16float(words.x), unpack2x16float(words.y)));
}

/// Puts four floats into the left factor, from place `i` on.
fn put_left(i: u32, values: vec4<f16>) {
    left[i] = values.x;
    left[i + 1u] = values.y;
    left[i + 2u] = values.z;
    left[i + 3u] = values.w;
}

/// Puts four floats into the right factor, from place `i` on.
fn put_right(i: u32, values: vec4<f16>) {
    right[i] = values.x;
    right[i + 1u] = values.y;
    right[i + 2u] = values.z;
    right[i + 3u] = values.w;
}

/// Four of the sums, from place `i` on.
fn sums_at(i: u32) -> vec4<f32> {
    return vec4(sums[i], sums[i + 1u], sums[i + 2u], sums[i + 3u]);
}

fn left_at(row: u32, depth: u32) -> Left {
    if LEFT_IS_TRANSPOSED { return coopLoad<Left>(&left[depth * ROWS + row], ROWS); }
    return coopLoadT<Left>(&left[row * SLAB + depth], SLAB);
}

fn right_at(depth: u32, column: u32) -> Right {
    if RIGHT_IS_TRANSPOSED { return coopLoad<Right>(&right[column * SLAB + depth], SLAB); }
    return coopLoadT<Right>(&right[depth * COLUMNS + column], COLUMNS);
}

/// Multiplies the factors of a workgroup's tile, `slabs` one after the other, into `sums`.
fn multiply(slabs: u32, tile: vec3<u32>, local: u32, subgroup: u32, subgroups: u32) {
    // Where the workgroup has fewer subgroups than units, these take turns.
    for (var round = 0u; round * subgroups < UNITS; round++) {
        let unit = round * subgroups + subgroup;
        let row = unit * 2u * SIZE;
        var c00 = Sum();
        var c01 = Sum();
        var c10 = Sum();
        var c11 = Sum();
        for (var slab = 0u; slab < slabs; slab++) {
            workgroupBarrier();
            stage(slab, tile, local);
            workgroupBarrier();
            if unit >= UNITS { continue; }
            for (var depth = 0u; depth < SLAB; depth += SIZE) {
                let a0 = left_at(row, depth);
                let a1 = left_at(row + SIZE, depth);
                let b0 = right_at(depth, 0u);
                let b1 = right_at(depth, SIZE);
                c00 = coopMultiplyAdd(a0, b0, c00);
                c01 = coopMultiplyAdd(a0, b1, c01);
                c10 = coopMultiplyAdd(a1, b0, c10);
                c11 = coopMultiplyAdd(a1, b1, c11);
            }
        }
        if unit < UNITS {
            coopStoreT(c00, &sums[row * COLUMNS], COLUMNS);
            coopStoreT(c01, &sums[row * COLUMNS + SIZE], COLUMNS);
            coopStoreT(c10, &sums[(row + SIZE) * COLUMNS], COLUMNS);
            coopStoreT(c11, &sums[(row + SIZE) * COLUMNS + SIZE], COLUMNS);
        }
    }
    workgroupBarrier();
}
