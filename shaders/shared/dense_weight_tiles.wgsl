// Tiles of the gradient of a dense layer's weights: 32 inputs by four outputs of each invocation of a workgroup.

override output_blocks: u32 = (outputs + 4u * workgroup_size - 1u) / (4u * workgroup_size);
override weight_tiles: u32 = (inputs + 31u) / 32u * output_blocks;

/// Four inputs, each in four samples.
fn inputs_of_samples(n: u32, k: u32) -> mat4x4<f32> {
    return transpose(mat4x4(input_at(n, k), input_at(n + 1u, k), input_at(n + 2u, k), input_at(n + 3u, k)));
}

/// The sums over samples of products of four inputs of each lane and four outputs; and the gradients of the biases.
fn sum_weight_grads(first: u32, o: u32, lane: u32) {
    let k = first + lane % 8u * 4u;
    var bias = vec4(0.0);
    fill_sums(bias);
    for (var n = 0u; n < batch; n += 8u) {
        columns = array(
            output_grad_at(n, o), output_grad_at(n + 1u, o), output_grad_at(n + 2u, o), output_grad_at(n + 3u, o),
            output_grad_at(n + 4u, o), output_grad_at(n + 5u, o), output_grad_at(n + 6u, o), output_grad_at(n + 7u, o),
        );
        bias += columns[0] + columns[1] + columns[2] + columns[3] + columns[4] + columns[5] + columns[6] + columns[7];
        add_products(inputs_of_samples(n, k), inputs_of_samples(n + 4u, k));
    }
    if first == 0u { store_bias_grads(o, bias); }
}
