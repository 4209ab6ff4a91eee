// Sums of products with factors that 8 lanes share: 32 rows by four columns of each invocation, in registers, eight terms at a
// time. All invocations of a subgroup need the same factors of the rows: each of the first 8 lanes loads those of four rows, and
// shuffles hand them to the others. The more terms at a time, the less often a sum is loaded and stored again.

/// The sums of each row.
var<private> sums: array<vec4<f32>, 32>;
/// The factors of the columns in each term.
var<private> columns: array<vec4<f32>, 8>;

fn fill_sums(value: vec4<f32>) {
    sums = array(
        value, value, value, value, value, value, value, value, value, value, value, value, value, value, value, value,
        value, value, value, value, value, value, value, value, value, value, value, value, value, value, value, value,
    );
}

/// A row's sums with four more terms, given its factors in them.
fn with_terms(sum: vec4<f32>, term: u32, factors: vec4<f32>) -> vec4<f32> {
    let two = fma(columns[term + 1u], vec4(factors.y), fma(columns[term], vec4(factors.x), sum));
    return fma(columns[term + 3u], vec4(factors.w), fma(columns[term + 2u], vec4(factors.z), two));
}

/// Adds all terms to the `j`-th row of a lane.
fn add_row(lane: u32, j: u32, terms0: vec4<f32>, terms4: vec4<f32>) {
    let first = with_terms(sums[4u * lane + j], 0u, subgroupShuffle(terms0, lane));
    sums[4u * lane + j] = with_terms(first, 4u, subgroupShuffle(terms4, lane));
}

fn add_lane(lane: u32, terms0: mat4x4<f32>, terms4: mat4x4<f32>) {
    add_row(lane, 0u, terms0[0], terms4[0]);
    add_row(lane, 1u, terms0[1], terms4[1]);
    add_row(lane, 2u, terms0[2], terms4[2]);
    add_row(lane, 3u, terms0[3], terms4[3]);
}

/// Adds all terms to all rows. Each matrix has four terms, and in each of its columns those of a row of the invocation's lane.
fn add_products(terms0: mat4x4<f32>, terms4: mat4x4<f32>) {
    add_lane(0u, terms0, terms4);
    add_lane(1u, terms0, terms4);
    add_lane(2u, terms0, terms4);
    add_lane(3u, terms0, terms4);
    add_lane(4u, terms0, terms4);
    add_lane(5u, terms0, terms4);
    add_lane(6u, terms0, terms4);
    add_lane(7u, terms0, terms4);
}
