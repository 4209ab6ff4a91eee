// Products of an invocation's numbers with four rows of numbers that 8 lanes share: up to four tiles of 4x4 sums in registers,
// each for a quad of the rows' columns, once or for each of several sets of rows.
// Needs from the kernel: SUMS, 16 for each set; row_of(rows, r, q), four columns of a row.

/// Quads of columns of an invocation, 1 to 4.
override tile_quads: u32;

/// For each set and each quad of columns, its sums for each of the invocation's four vectors.
var<private> sums: array<vec4<f32>, SUMS>;

/// Adds to the sums of a quad, in the set that begins with `first`, the products of the first `count` rows, each with its number
/// of each vector.
fn add_to_quad(first: u32, q: u32, count: u32, rows: Rows, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) {
    if q >= tile_quads { return; }
    let i = first + q * 4u;
    let w0 = row_of(rows, 0u, q);
    let w1 = row_of(rows, 1u, q);
    let w2 = row_of(rows, 2u, q);
    let w3 = row_of(rows, 3u, q);
    // `fma` is one instruction where the processor has it.
    var s0 = fma(w0, vec4(a.x), sums[i]);
    var s1 = fma(w0, vec4(b.x), sums[i + 1u]);
    var s2 = fma(w0, vec4(c.x), sums[i + 2u]);
    var s3 = fma(w0, vec4(d.x), sums[i + 3u]);
    if count > 1u {
        s0 = fma(w1, vec4(a.y), s0); s1 = fma(w1, vec4(b.y), s1);
        s2 = fma(w1, vec4(c.y), s2); s3 = fma(w1, vec4(d.y), s3);
    }
    if count > 2u {
        s0 = fma(w2, vec4(a.z), s0); s1 = fma(w2, vec4(b.z), s1);
        s2 = fma(w2, vec4(c.z), s2); s3 = fma(w2, vec4(d.z), s3);
    }
    if count > 3u {
        s0 = fma(w3, vec4(a.w), s0); s1 = fma(w3, vec4(b.w), s1);
        s2 = fma(w3, vec4(c.w), s2); s3 = fma(w3, vec4(d.w), s3);
    }
    sums[i] = s0; sums[i + 1u] = s1; sums[i + 2u] = s2; sums[i + 3u] = s3;
}

fn add_products(first: u32, count: u32, rows: Rows, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) {
    add_to_quad(first, 0u, count, rows, a, b, c, d);
    add_to_quad(first, 1u, count, rows, a, b, c, d);
    add_to_quad(first, 2u, count, rows, a, b, c, d);
    add_to_quad(first, 3u, count, rows, a, b, c, d);
}
