// A product of matrices by blocks in workgroup memory. A workgroup has a tile of 2 * SHARERS rows by some pairs of quads of
// columns, and each of its invocations two rows and eight columns: for a term of the sum it reads 16 floats, for 64
// multiply-adds if a row is four positions.

/// Invocations that share a pair of quads.
const SHARERS = 16u;
/// Rows of a tile.
const TILE = 2u * SHARERS;
/// The distance in memory of two terms of a sum. With one more than a tile, neighbouring terms lie in different banks.
const PITCH = TILE + 1u;

/// Terms of a sum in memory at a time, at most SHARERS. Of the input's gradient: quads of terms.
override slice: u32;
/// Pairs of quads of columns of a tile, and these quads.
override tile_pairs: u32 = workgroup_size / SHARERS;
override tile_quads: u32 = 2u * tile_pairs;
