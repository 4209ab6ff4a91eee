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

/// The most lanes of a GPU's subgroup: AMD's.
const MOST_LANES: usize = 64;

/// The invocations of a workgroup that has a tile of [`TILE`] by some of `quads`, two an invocation, and the workgroups for
/// all quads.
pub(super) fn workgroup(quads: usize) -> (usize, usize) {
    let pairs = quads.div_ceil(2);
    let workgroups = pairs.div_ceil(MOST_PAIRS);
    (pairs.div_ceil(workgroups) * SHARERS, workgroups)
}

/// The same for GPUs, whose subgroups of up to 64 lanes have idle ones in other numbers of invocations: at least one whole
/// subgroup, the fewest subgroups in all, and then the fewest workgroups.
fn workgroup_of_subgroups(quads: usize) -> Option<(usize, usize)> {
    let pairs = quads.div_ceil(2);
    let sizes =
        (pairs.div_ceil(MOST_PAIRS)..=pairs).map(|workgroups| (pairs.div_ceil(workgroups) * SHARERS, workgroups));
    let subgroups = |&(size, workgroups): &(usize, usize)| workgroups * size.div_ceil(MOST_LANES);
    sizes.filter(|(size, _)| *size >= MOST_LANES).min_by_key(subgroups)
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

/// The fewest terms that `ahead` variants sum at a time: of fewer, compilers unroll the loop, and some spill registers.
const FEWEST_TERMS: usize = 8;

/// The sizes of a product whose slices are loaded ahead.
pub(super) struct Ahead {
    pub(super) tiles: usize,
    /// Its columns, whose number is a multiple of 4.
    pub(super) channels: usize,
    /// Its sums' terms: some channels, again a multiple of 4, at each position of a kernel, of which a slice has one; or
    /// any number at a single position, with zeros beyond the last term.
    pub(super) terms: usize,
    pub(super) positions: usize,
    pub(super) has_zeros: bool,
}

/// A variant for GPUs whose invocations load the next slice of such a product while they sum this one, if its columns are
/// enough for a whole subgroup, and so for as many invocations as a slice of [`FEWEST_TERMS`] has fours of rows.
pub(super) fn products_ahead(shader: Shader, ahead: &Ahead) -> Option<Variant> {
    let &Ahead { tiles, channels, terms, positions, has_zeros } = ahead;
    let (size, workgroups) = workgroup_of_subgroups(channels.div_ceil(4))?;
    let most = (4 * size / TILE).min(SLICE);
    let fits = |&slice: &usize| slice.is_multiple_of(4) && (has_zeros || terms.is_multiple_of(slice));
    let slice = (FEWEST_TERMS..=most).rev().find(fits)?;
    // Rows and columns of the kernel may be two loops.
    let iterations = positions * (2 + terms.div_ceil(slice) * (1 + slice));
    let variant = Variant::tiled(shader, tiles, size, iterations).repeated(workgroups).constant("slice", slice);
    Some(variant.sharing(16 * slice * vectors_per_term(size)).made_for(AdapterClass::GPUS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workgroups_of_gpus_have_few_idle_lanes() {
        // Quads; then the invocations of a workgroup, and the workgroups.
        for (quads, expected) in
            [(8, (64, 1)), (12, (96, 1)), (16, (128, 1)), (18, (80, 2)), (24, (64, 3)), (20, (64, 3))]
        {
            assert_eq!(workgroup_of_subgroups(quads), Some(expected), "{quads} quads");
        }
        assert_eq!(workgroup_of_subgroups(6), None, "less than a subgroup");
        assert_eq!(workgroup(24), (96, 2), "where lanes do not matter");
    }
}
