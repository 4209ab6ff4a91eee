// The weights of a convolution as the columns of a slice, for `block_products_ahead`.
// Needs from the kernel: weight.

/// The weights of a term for four channels.
fn load_columns(first: u32, i: u32, first_quad: u32) -> Four {
    return weight[(first + i / tile_quads) * quads + first_quad + i % tile_quads];
}
