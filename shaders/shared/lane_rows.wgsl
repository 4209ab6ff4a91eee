// Four rows of up to four quads, which the first 8 lanes of a subgroup load for each other. Builds on `strip_products`.
// Needs from the kernel: quad_at(row, q).

/// Each lane has one quad, of two rows, or two quads, of four rows.
override has_few_quads: bool = tile_quads <= 2u;

/// What a lane has loaded.
struct Rows {
    low: vec4<f32>,
    high: vec4<f32>,
}

fn rows_at(row: u32, own: u32) -> Rows {
    if has_few_quads { return Rows(quad_at(row + own / 2u, own % 2u), vec4<f32>()); }
    return Rows(quad_at(row + own / 4u, own % 4u), quad_at(row + 2u + own / 4u, own % 4u));
}

fn row_of(rows: Rows, r: u32, q: u32) -> vec4<f32> {
    if has_few_quads { return subgroupShuffle(rows.low, r * 2u + q); }
    if r < 2u { return subgroupShuffle(rows.low, r * 4u + q); }
    return subgroupShuffle(rows.high, (r - 2u) * 4u + q);
}
