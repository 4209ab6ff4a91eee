// Four fours of floats, loaded ahead: what `block_products_ahead` takes for the rows of a product where nothing else is needed.

struct Rows {
    f0: Four,
    f1: Four,
    f2: Four,
    f3: Four,
}

/// The fours, a column each; zeros where they are not wanted.
fn fours_where(rows: Rows, wanted: vec4<bool>) -> mat4x4<f32> {
    return mat4x4(
        select(vec4(0.0), unpacked(rows.f0), wanted.x), select(vec4(0.0), unpacked(rows.f1), wanted.y),
        select(vec4(0.0), unpacked(rows.f2), wanted.z), select(vec4(0.0), unpacked(rows.f3), wanted.w),
    );
}
