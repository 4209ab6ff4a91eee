// Stores the sums of shared/lane_sums.wgsl.
// Needs from the kernel: put(row, column, sums), which stores four neighbouring columns of a row.

fn put_rows(first: u32, row: u32, column: u32) {
    put(first + row, column, sums[row]);
    put(first + row + 1u, column, sums[row + 1u]);
    put(first + row + 2u, column, sums[row + 2u]);
    put(first + row + 3u, column, sums[row + 3u]);
}

/// Stores all rows, the first of which is row `first` of the result.
fn put_sums(first: u32, column: u32) {
    put_rows(first, 0u, column);
    put_rows(first, 4u, column);
    put_rows(first, 8u, column);
    put_rows(first, 12u, column);
    put_rows(first, 16u, column);
    put_rows(first, 20u, column);
    put_rows(first, 24u, column);
    put_rows(first, 28u, column);
}
