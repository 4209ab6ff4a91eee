// Products of four numbers and four others.

/// A column for each of the others.
fn outer(column: vec4<f32>, row: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(column * row.x, column * row.y, column * row.z, column * row.w);
}
