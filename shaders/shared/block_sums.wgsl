// The sums of a tile in registers: of two rows and eight columns in each invocation, a row being four positions. Builds on
// `blocks`.
// Needs from the kernel: store(row, quad, sums), which stores nothing beyond the last row or column.
// Needs from another part or the kernel: block_terms, the terms in memory at a time.

/// The lengths of the blocks. naga fails where constants follow an array whose length is a formula; a name it takes.
override row_block_length: u32 = block_terms * PITCH;
override column_block_length: u32 = block_terms * tile_quads;

/// For each term in memory, the rows of the tile, and the columns of its quads.
var<workgroup> row_block: array<vec4<f32>, row_block_length>;
var<workgroup> column_block: array<vec4<f32>, column_block_length>;

/// The sums of the invocation's two rows for its first quad, and for its second.
var<private> sums: array<mat4x4<f32>, 4>;

/// The row of the invocation's first sums; that of the others is SHARERS behind it.
fn own_row(local: u32) -> u32 {
    return local / tile_pairs;
}

/// The first quad of the invocation; the second is behind it.
fn own_quad(local: u32) -> u32 {
    return local % tile_pairs * 2u;
}

/// Begins the sums of the two quads with a number for each of their columns.
fn begin_sums(columns0: vec4<f32>, columns1: vec4<f32>) {
    sums[0] = mat4x4(columns0, columns0, columns0, columns0);
    sums[1] = sums[0];
    sums[2] = mat4x4(columns1, columns1, columns1, columns1);
    sums[3] = sums[2];
}

/// Adds the terms in memory: each an outer product of what is read once for 64 multiply-adds.
fn add_block(local: u32) {
    let row = own_row(local);
    let quad = own_quad(local);
    for (var k = 0u; k < block_terms; k++) {
        let row0 = row_block[k * PITCH + row];
        let row1 = row_block[k * PITCH + row + SHARERS];
        let columns0 = column_block[k * tile_quads + quad];
        let columns1 = column_block[k * tile_quads + quad + 1u];
        sums[0] += outer(columns0, row0);
        sums[1] += outer(columns0, row1);
        sums[2] += outer(columns1, row0);
        sums[3] += outer(columns1, row1);
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
