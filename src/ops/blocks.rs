//! The tiles of the variants with blocks in workgroup memory.

use crate::op::MAX_WORKGROUP;

/// Invocations that share a quad of channels in a tile.
pub(super) const SHARERS: usize = 16;

/// Strips, windows or squares of a tile: two for each of these invocations.
pub(super) const TILE: usize = 2 * SHARERS;

/// The most terms of a sum that a tile holds in workgroup memory at a time.
pub(super) const SLICE: usize = SHARERS;

/// The invocations of a workgroup that has a tile of [`TILE`] by some of `quads`, and the workgroups for all quads.
pub(super) fn workgroup(quads: usize) -> (usize, usize) {
    let workgroups = quads.div_ceil(MAX_WORKGROUP / SHARERS);
    (quads.div_ceil(workgroups) * SHARERS, workgroups)
}
