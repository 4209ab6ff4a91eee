// The weights of a convolution with rows and columns changed round, as the columns of a slice, for `block_products_ahead`: terms
// are output channels at a kernel position, columns input channels.
// Needs from the kernel: weight, [kernel, kernel, in_channels, out_channels].

/// The weights of an input channel for four output channels.
fn weights_of_tap(tap: u32, first_o: u32, i: u32, first_in_quad: u32) -> Four {
    let c = first_in_quad * 4u + i / fours;
    return weight[(tap * in_channels + c) * quads + first_o / 4u + i % fours];
}

/// Puts them in their places, four terms of one column.
fn put_columns(i: u32, columns: Four) {
    let weights = unpacked(columns);
    let c = i / fours;
    let place = i % fours * 4u * tile_quads + c / 4u;
    column_block[place][c % 4u] = weights.x;
    column_block[place + tile_quads][c % 4u] = weights.y;
    column_block[place + 2u * tile_quads][c % 4u] = weights.z;
    column_block[place + 3u * tile_quads][c % 4u] = weights.w;
}
