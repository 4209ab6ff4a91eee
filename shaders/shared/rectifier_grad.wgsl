// The gradient before a rectifier, given that after it and what came out of it. The slope is 0 for ReLU, 1 for none.

override negative_slope: f32;

/// Whether there is a rectifier: only then are its values needed.
override is_rectified: bool = negative_slope != 1.0;

fn grad_before(grads: vec4<f32>, values: vec4<f32>) -> vec4<f32> {
    if !is_rectified { return grads; }
    if negative_slope == 0.0 { return select(vec4(0.0), grads, values > vec4(0.0)); }
    return select(negative_slope * grads, grads, values > vec4(0.0));
}
