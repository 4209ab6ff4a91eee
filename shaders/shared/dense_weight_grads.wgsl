// Where the gradients of a dense layer's parameters are, of a kernel that has no others.

@group(0) @binding(2) var<storage, read_write> weight_grad: array<f32>;  // [inputs, outputs]
@group(0) @binding(3) var<storage, read_write> bias_grad: array<f32>;    // [outputs]
