// The products of a tile, a slice of their terms at a time: a workgroup loads the rows of a tile and the columns of its quads
// into its memory, neighbouring invocations neighbouring terms or columns. Then each term is an outer product. The method
// is cuDNN's (Chetlur et al. 2014): a blocked product of matrices that are made in the workgroup's memory only. Builds on
// `blocks` and `block_sums`.
// Needs from the kernel: rows_at(row, term), columns_at(term, quad), one of them 0 beyond the last term; store(row, quad, sums),
// which stores nothing beyond the last row or column.

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

fn store_sums(first_row: u32, first_quad: u32, local: u32) {
    let row = first_row + own_row(local);
    let quad = first_quad + own_quad(local);
    store(row, quad, sums[0]);
    store(row + SHARERS, quad, sums[1]);
    store(row, quad + 1u, sums[2]);
    store(row + SHARERS, quad + 1u, sums[3]);
}
