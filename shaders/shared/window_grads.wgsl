// Reads of the gradients of pooled maxima and of the maxima's places from textures, for four output channels at a time. What is
// read beyond a texture is some number in WGSL, which must not be used.

/// The places of a window's maxima: dy * 2 + dx, 255 where there is none, also beyond the last channel.
fn codes_at(window: u32, quad: u32) -> vec4<u32> {
    return unpack4xU8(textureLoad(argmax, texel(window * quads + quad)).x);
}

/// The gradients of a window's maxima.
fn grad_at(window: u32, quad: u32) -> vec4<f32> {
    if has_out_quads { return output_grad_texel_at(window * quads + quad); }
    return output_grad_four_at(window * out_channels + quad * 4u);
}

/// The gradients of a window's four positions, of which in each channel at most one is not 0.
fn grads_at(window: u32, quad: u32) -> mat4x4<f32> {
    let grad = grad_at(window, quad);
    let codes = codes_at(window, quad);
    return mat4x4(
        select(vec4(0.0), grad, codes == vec4(0u)),
        select(vec4(0.0), grad, codes == vec4(1u)),
        select(vec4(0.0), grad, codes == vec4(2u)),
        select(vec4(0.0), grad, codes == vec4(3u)),
    );
}
