// A product of matrices by blocks in workgroup memory. A workgroup has a tile of 2 * SHARERS rows by some quads of columns, and
// each of its invocations two rows and four columns.

/// Invocations that share a quad of columns.
const SHARERS = 16u;
/// Rows of a tile.
const TILE = 2u * SHARERS;
/// The distance in memory of two terms of a sum. With one more than a tile, neighbouring terms lie in different banks.
const PITCH = TILE + 1u;

/// Terms of a sum in memory at a time, at most SHARERS. Of the input's gradient: quads of terms.
override slice: u32;
/// Quads of columns of a tile.
override tile_quads: u32 = workgroup_size / SHARERS;
