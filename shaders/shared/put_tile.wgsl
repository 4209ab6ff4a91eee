// Stores a tile of 4x4 numbers, row by row.
// Needs from the kernel: put(row, column, sums).

fn put_tile(row: u32, column: u32, tile: mat4x4<f32>) {
    put(row, column, tile[0]);
    put(row + 1u, column, tile[1]);
    put(row + 2u, column, tile[2]);
    put(row + 3u, column, tile[3]);
}
