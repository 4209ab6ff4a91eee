// The products of a tile, a slice of their terms at a time: a workgroup loads the rows of a tile and the columns of its quads
// into its memory, neighbouring invocations neighbouring terms or columns. Then each term is an outer product. The method
// is cuDNN's (Chetlur et al. 2014): a blocked product of matrices that are made in the workgroup's memory only. Builds on
// `blocks` and `block_sums`.
// Needs from the kernel: rows_at(row, term), columns_at(term, quad), one of them 0 beyond the last term.

override block_terms: u32 = slice;

fn add_terms(terms: u32, first_row: u32, first_quad: u32, local: u32) {
    for (var first = 0u; first < terms; first += slice) {
        for (var i = local; i < slice * TILE; i += workgroup_size) {
            row_block[i % slice * PITCH + i / slice] = rows_at(first_row + i / slice, first + i % slice);
        }
        for (var i = local; i < slice * tile_quads; i += workgroup_size) {
            column_block[i] = columns_at(first + i / tile_quads, first_quad + i % tile_quads);
        }
        workgroupBarrier();
        add_block(local);
        workgroupBarrier();
    }
}
