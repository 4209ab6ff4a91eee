// The products of a tile, a slice of their terms at a time: a workgroup loads four rows of each strip and four columns of each
// quad into its memory, neighbouring invocations neighbouring terms or columns. Then each term is an outer product. The method
// is cuDNN's (Chetlur et al. 2014): a blocked product of matrices that are made in the workgroup's memory only. Builds on
// `blocks`.
// Needs from the kernel: rows_at(strip, term), columns_at(term, quad), both 0 beyond the last term.

/// The lengths of the blocks. naga fails where constants follow an array whose length is a formula; a name it takes.
override row_block_length: u32 = slice * PITCH;
override column_block_length: u32 = slice * tile_quads;

/// For each term of the slice, the rows of the tile's strips, and the columns of its quads.
var<workgroup> row_block: array<vec4<f32>, row_block_length>;
var<workgroup> column_block: array<vec4<f32>, column_block_length>;

/// The sums of the invocation's two strips.
var<private> sums: array<mat4x4<f32>, 2>;

fn add_terms(terms: u32, first_strip: u32, first_quad: u32, local: u32) {
    let quad = local % tile_quads;
    let sharer = local / tile_quads;
    for (var first = 0u; first < terms; first += slice) {
        for (var i = local; i < slice * TILE; i += workgroup_size) {
            row_block[i % slice * PITCH + i / slice] = rows_at(first_strip + i / slice, first + i % slice);
        }
        for (var i = local; i < slice * tile_quads; i += workgroup_size) {
            column_block[i] = columns_at(first + i / tile_quads, first_quad + i % tile_quads);
        }
        workgroupBarrier();
        for (var k = 0u; k < slice; k++) {
            let columns = column_block[k * tile_quads + quad];
            sums[0] += outer(columns, row_block[k * PITCH + sharer]);
            sums[1] += outer(columns, row_block[k * PITCH + sharer + SHARERS]);
        }
        workgroupBarrier();
    }
}
