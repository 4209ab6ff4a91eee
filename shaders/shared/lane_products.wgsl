// Products with factors that 8 lanes share: eight tiles of 4x4 sums in registers of each invocation. All invocations of a
// subgroup need the same factors at a time: each of the first 8 lanes loads a matrix of them, for one tile, and broadcasts it
// to the others.

var<private> tiles: array<mat4x4<f32>, 8>;

/// The vectors that lane `l`, one of the first eight, has loaded.
fn of_lane(values: mat4x4<f32>, l: u32) -> mat4x4<f32> {
    return mat4x4(
        subgroupShuffle(values[0], l), subgroupShuffle(values[1], l),
        subgroupShuffle(values[2], l), subgroupShuffle(values[3], l),
    );
}

/// Adds to four tiles the products of a matrix of the invocation and one of the tile's lane.
fn add_four_products(first: u32, own: mat4x4<f32>, of_lanes: mat4x4<f32>) {
    tiles[first] += own * of_lane(of_lanes, first);
    tiles[first + 1u] += own * of_lane(of_lanes, first + 1u);
    tiles[first + 2u] += own * of_lane(of_lanes, first + 2u);
    tiles[first + 3u] += own * of_lane(of_lanes, first + 3u);
}

/// Adds to all tiles.
fn add_products(own: mat4x4<f32>, of_lanes: mat4x4<f32>) {
    add_four_products(0u, own, of_lanes);
    add_four_products(4u, own, of_lanes);
}
