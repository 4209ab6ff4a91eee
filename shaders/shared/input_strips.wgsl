// The strips of a phase of a convolution's input, as their gradient is stored. Builds on `phases`.

/// The phase of the workgroup.
var<private> phase: u32;

fn store(strip: u32, quad: u32, grads: mat4x4<f32>) {
    let place = place_of(strip, phase);
    put_before(place, 0u, quad, grads[0]); put_before(place, 1u, quad, grads[1]);
    put_before(place, 2u, quad, grads[2]); put_before(place, 3u, quad, grads[3]);
}
