//! The tiles of the variants with blocks in workgroup memory.

use crate::op::{AdapterClass, Shader, Variant};

/// Invocations that share a pair of quads of channels in a tile.
const SHARERS: usize = 16;

/// Strips, windows or squares of a tile: two for each of these invocations.
pub(super) const TILE: usize = 2 * SHARERS;

/// The most terms of a sum that a tile holds in workgroup memory at a time.
pub(super) const SLICE: usize = SHARERS;

/// The most pairs of quads of a tile: twice as many would need more memory than WebGPU guarantees, 16 KiB.
const MOST_PAIRS: usize = 8;

/// The invocations of a workgroup that has a tile of [`TILE`] by some of `quads`, two an invocation, and the workgroups for
/// all quads.
pub(super) fn workgroup(quads: usize) -> (usize, usize) {
    let pairs = quads.div_ceil(2);
    let workgroups = pairs.div_ceil(MOST_PAIRS);
    (pairs.div_ceil(workgroups) * SHARERS, workgroups)
}

/// The vectors of a term in workgroup memory: a row of each strip of a tile, one between them and the next term's, and the
/// columns of the quads of a workgroup of this size.
pub(super) fn vectors_per_term(size: usize) -> usize {
    TILE + 1 + 2 * size / SHARERS
}

/// A variant that is a product of matrices by blocks: `tiles` of rows for each group of `channels`, with sums of so many
/// terms.
pub(super) fn products(shader: Shader, tiles: usize, channels: usize, terms: usize) -> Variant {
    let (size, workgroups) = workgroup(channels.div_ceil(4));
    // Slices of equal length need little padding.
    let slices = terms.div_ceil(SLICE);
    let slice = terms.div_ceil(slices);
    let loads = (slice * TILE).div_ceil(size) + (slice * 2).div_ceil(SHARERS);
    Variant::tiled(shader, tiles, size, slices * (1 + loads + slice))
        .repeated(workgroups)
        .constant("slice", slice)
        .sharing(16 * slice * vectors_per_term(size))
        .made_for(AdapterClass::WITHOUT_LANES)
}
