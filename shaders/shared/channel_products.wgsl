// Products of four neighbouring positions of an invocation and 16 channels: sums in registers. All invocations of a subgroup need
// the same 16 factors at a time: each of the first 8 lanes loads two of them and broadcasts them to the others.

var<private> tiles: array<mat4x4<f32>, 4>;

/// Adds to the sums of each channel the products with its factor: of lane `l` those of the channels `l` and `8 + l`.
fn add_products(positions: vec4<f32>, low: f32, high: f32) {
    tiles[0] += outer(positions, vec4(
        subgroupBroadcast(low, 0u), subgroupBroadcast(low, 1u),
        subgroupBroadcast(low, 2u), subgroupBroadcast(low, 3u),
    ));
    tiles[1] += outer(positions, vec4(
        subgroupBroadcast(low, 4u), subgroupBroadcast(low, 5u),
        subgroupBroadcast(low, 6u), subgroupBroadcast(low, 7u),
    ));
    tiles[2] += outer(positions, vec4(
        subgroupBroadcast(high, 0u), subgroupBroadcast(high, 1u),
        subgroupBroadcast(high, 2u), subgroupBroadcast(high, 3u),
    ));
    tiles[3] += outer(positions, vec4(
        subgroupBroadcast(high, 4u), subgroupBroadcast(high, 5u),
        subgroupBroadcast(high, 6u), subgroupBroadcast(high, 7u),
    ));
}

/// Stores the sums of 16 channels from `first` on at four positions from `x` on.
fn put_tiles(first: u32, x: u32) {
    put_tile(first, x, tiles[0]);
    put_tile(first + 4u, x, tiles[1]);
    put_tile(first + 8u, x, tiles[2]);
    put_tile(first + 12u, x, tiles[3]);
}
