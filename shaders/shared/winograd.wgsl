// Winograd's minimal filtering of a row by three taps: four neighbouring results, of six numbers, with six products instead of
// twelve (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016). The six factors of each kind are the values of
// polynomials at the points 0, 1, -1, 1/2, -2 and infinity, whose rounding errors are the smallest of such points (Barabasz et
// al., Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks, 2020).

/// Values at the six points.
struct Points {
    p0: vec4<f32>,
    p1: vec4<f32>,
    p2: vec4<f32>,
    p3: vec4<f32>,
    p4: vec4<f32>,
    p5: vec4<f32>,
}

/// The first factors, of six neighbouring numbers.
fn numbers_at_points(
    d0: vec4<f32>, d1: vec4<f32>, d2: vec4<f32>, d3: vec4<f32>, d4: vec4<f32>, d5: vec4<f32>,
) -> Points {
    let even = d4 - d2;
    let odd = d3 - d1;
    let a = fma(vec4(1.5), d3, even);
    let b = fma(vec4(1.5), d2, odd);
    return Points(
        fma(vec4(1.5), odd, even) + (d0 - d2), a + b, a - b, fma(vec4(2.0), odd, even), fma(vec4(-0.5), odd, even),
        fma(vec4(1.5), even, d5 - d3) - odd,
    );
}

/// The second factors, of three taps.
fn taps_at_points(w0: vec4<f32>, w1: vec4<f32>, w2: vec4<f32>) -> Points {
    let outer = w0 + w2;
    return Points(
        w0, (outer + w1) * (1.0 / 3.0), (w1 - outer) * (1.0 / 3.0),
        (w0 + 0.5 * w1 + 0.25 * w2) * (-16.0 / 15.0), (w0 - 2.0 * w1 + 4.0 * w2) * (1.0 / 15.0), w2,
    );
}

/// The four results of the products of both factors, or of sums of such products.
fn results_of_points(m: Points) -> mat4x4<f32> {
    let even = m.p1 + m.p2;
    let odd = m.p1 - m.p2;
    return mat4x4(
        m.p0 + even + m.p3 + m.p4, odd + 0.5 * m.p3 - 2.0 * m.p4, even + 0.25 * m.p3 + 4.0 * m.p4,
        odd + 0.125 * m.p3 - 8.0 * m.p4 + m.p5,
    );
}
