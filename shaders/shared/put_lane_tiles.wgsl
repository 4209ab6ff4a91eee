// Stores the tiles of lane_products.wgsl, one below the other.

/// Stores four neighbouring columns of 32 rows.
fn put_tiles(row: u32, column: u32) {
    put_tile(row, column, tiles[0]);
    put_tile(row + 4u, column, tiles[1]);
    put_tile(row + 8u, column, tiles[2]);
    put_tile(row + 12u, column, tiles[3]);
    put_tile(row + 16u, column, tiles[4]);
    put_tile(row + 20u, column, tiles[5]);
    put_tile(row + 24u, column, tiles[6]);
    put_tile(row + 28u, column, tiles[7]);
}
