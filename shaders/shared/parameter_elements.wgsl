// An invocation for each partial sum of the gradients of a convolution's weights and bias: first the weights of all chunks, then
// the biases.

override weights: u32 = kernel * kernel * in_channels * out_channels;
override elements: u32 = chunks * (weights + out_channels);

/// What a partial sum belongs to; a bias has no `ky`, `kx` and `c`.
struct Element {
    is_bias: bool,
    i: u32,  // among those of all chunks
    chunk: u32,
    ky: u32,
    kx: u32,
    c: u32,
    o: u32,
}

fn element_of(invocation: u32) -> Element {
    let is_bias = invocation >= chunks * weights;
    let i = select(invocation, invocation - chunks * weights, is_bias);
    return Element(
        is_bias, i, i / select(weights, out_channels, is_bias), i / (out_channels * in_channels * kernel) % kernel,
        i / (out_channels * in_channels) % kernel, i / out_channels % in_channels, i % out_channels,
    );
}

fn put(element: Element, sum: f32) {
    let grad = sum / parameter_divisor;
    if element.is_bias {
        bias_grad_partial[element.i] = grad;
    } else {
        weight_grad_partial[element.i] = grad;
    }
}
