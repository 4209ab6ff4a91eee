// Stores the gradients of the parameters of a layer of 12 outputs at most, as three quads of outputs.

fn store_tiles(k: u32, tile0: mat4x4<f32>, tile1: mat4x4<f32>, tile2: mat4x4<f32>, biases: mat3x4<f32>) {
    for (var j = 0u; j < 4u; j++) {
        store_weight_grads(k + j, 0u, tile0[j]);
        store_weight_grads(k + j, 4u, tile1[j]);
        store_weight_grads(k + j, 8u, tile2[j]);
    }
    if k == 0u {
        store_bias_grads(0u, biases[0]);
        store_bias_grads(4u, biases[1]);
        store_bias_grads(8u, biases[2]);
    }
}
