// The gradients of a dense layer's parameters, one element at a time.

@group(0) @binding(0) var<storage, read> input: array<Word>;        // [batch, inputs]
@group(0) @binding(1) var<storage, read> output_grad: array<Word>;  // [batch, outputs]

fn output_grad_at(n: u32, o: u32) -> f32 {
    let i = n * outputs + o;
    return float_of(output_grad[i / FLOATS_PER_WORD], i);
}

/// Sums and stores element `i`: first the weights, then the biases.
fn sum_parameter_grad(i: u32) {
    let weights = inputs * outputs;
    var sum = 0.0;
    if i < weights {
        for (var n = 0u; n < batch; n++) {
            sum += input_float_at(n * inputs + i / outputs) * output_grad_at(n, i % outputs);
        }
        weight_grad[i] = sum / parameter_divisor;
    } else if i < weights + outputs {
        for (var n = 0u; n < batch; n++) {
            sum += output_grad_at(n, i - weights);
        }
        bias_grad[i - weights] = sum / parameter_divisor;
    }
}
