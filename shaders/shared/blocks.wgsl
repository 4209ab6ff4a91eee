// A product of matrices by blocks in workgroup memory: a tile of 2 * LANES rows by some quads of columns, of which each invocation
// has two rows and four columns.

/// Invocations that share a quad of columns.
const LANES = 16u;
/// Rows of a tile.
const TILE = 2u * LANES;
/// The distance in memory of two of the products to be added up: with one more than a tile, neighbouring ones lie in different banks.
const PITCH = TILE + 1u;

override slice: u32;  // of the sums, how many terms (of the input's gradient quads of them) lie in memory at a time, at most LANES
override tile_quads: u32 = workgroup_size / LANES;  // of columns
