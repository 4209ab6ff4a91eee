// A rectifier that a kernel applies to what it writes: what is not above 0 is multiplied by a slope, 0 for ReLU, 1 for none.

override negative_slope: f32;

fn rectified(values: vec4<f32>) -> vec4<f32> {
    if negative_slope == 1.0 { return values; }
    if negative_slope == 0.0 { return max(values, vec4(0.0)); }
    return select(negative_slope * values, values, values > vec4(0.0));
}
