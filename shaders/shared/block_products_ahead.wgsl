// The products of a tile, a slice of their terms at a time, as in `block_products`, for GPUs: four terms of a row are loaded at a
// time, 16 bytes each, and an invocation loads those of one row for the next slice while it sums this one. Builds on `blocks`
// and `block_sums`.
// Needs from the kernel: load_rows(row, first, own), terms_of(rows, row, first, own), load_columns(first, i, first_quad).
// `load_rows` loads `Rows`, four terms as of `first + own`, and `terms_of` is a column for each of them; `load_columns` loads the
// `i`-th four of the columns of a slice, which another part's `put_columns(i, columns)` puts in its place. The number of terms is
// a multiple of `slice`, or there are zeros beyond the last one.

override block_terms: u32 = slice;
override fours: u32 = slice / 4u;
override row_loads: u32 = fours * TILE;  // at most one for each invocation
override column_loads: u32 = slice * tile_quads;  // one for each invocation, or two

/// Puts four terms of a row in their places.
fn put_rows(i: u32, terms: mat4x4<f32>) {
    let place = i % fours * 4u * PITCH + i / fours;
    row_block[place] = terms[0];
    row_block[place + PITCH] = terms[1];
    row_block[place + 2u * PITCH] = terms[2];
    row_block[place + 3u * PITCH] = terms[3];
}

fn add_terms(terms: u32, first_row: u32, first_quad: u32, local: u32) {
    let own = local % fours * 4u;
    let row = first_row + local / fours;
    let second = local + workgroup_size;
    var ahead = load_rows(row, 0u, own);
    for (var first = 0u; first < terms; first += slice) {
        if local < row_loads { put_rows(local, terms_of(ahead, row, first, own)); }
        // The registers of some GPUs hold no more than that beside the sums.
        // A slice has eight terms or more, and so at least as many fours of columns as the workgroup invocations.
        put_columns(local, load_columns(first, local, first_quad));
        if second < column_loads { put_columns(second, load_columns(first, second, first_quad)); }
        workgroupBarrier();
        if first + slice < terms { ahead = load_rows(row, first + slice, own); }
        add_block(local);
        workgroupBarrier();
    }
}
