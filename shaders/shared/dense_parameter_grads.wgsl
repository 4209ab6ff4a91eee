// Stores the gradients of a dense layer's parameters, four neighbouring outputs at a time.

fn store_weight_grads(k: u32, o: u32, sums: vec4<f32>) {
    if k >= inputs { return; }
    let grads = sums / parameter_divisor;
    for (var j = 0u; j < 4u; j++) {
        if o + j < outputs { weight_grad[k * outputs + o + j] = grads[j]; }
    }
}

fn store_bias_grads(o: u32, sums: vec4<f32>) {
    let grads = sums / parameter_divisor;
    for (var j = 0u; j < 4u; j++) {
        if o + j < outputs { bias_grad[o + j] = grads[j]; }
    }
}
