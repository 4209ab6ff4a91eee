// Columns of a slice for `block_products_ahead`, as they lie in a buffer: four of a term.

fn put_columns(i: u32, columns: Four) {
    column_block[i] = unpacked(columns);
}
