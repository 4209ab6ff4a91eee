// Tiles of the gradient of a dense layer's weights: 32 inputs by four outputs of each invocation of a workgroup.

override output_blocks: u32 = (outputs + 4u * workgroup_size - 1u) / (4u * workgroup_size);
override weight_tiles: u32 = (inputs + 31u) / 32u * output_blocks;

/// The sums over samples of products of four inputs of each lane and four outputs; and the gradients of the biases.
fn backward_weight(first: u32, o: u32, lane: u32) {
    let k = first + lane * 4u;
    var bias = vec4(0.0);
    for (var n = 0u; n < batch; n += 4u) {
        let grads = mat4x4(output_grad_at(n, o), output_grad_at(n + 1u, o), output_grad_at(n + 2u, o), output_grad_at(n + 3u, o));
        bias += grads * vec4(1.0);
        add_products(grads, transpose(mat4x4(input_at(n, k), input_at(n + 1u, k), input_at(n + 2u, k), input_at(n + 3u, k))));
    }
    if first == 0u { store_bias_grads(o, bias); }
}
