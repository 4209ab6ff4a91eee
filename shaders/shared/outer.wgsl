// The outer product of two vectors.

/// Its columns are `column` times each number of `row`.
fn outer(column: vec4<f32>, row: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(column * row.x, column * row.y, column * row.z, column * row.w);
}
