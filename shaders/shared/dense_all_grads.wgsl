// Where the gradients of a dense layer's parameters are, of a kernel that also has the input's.

@group(0) @binding(3) var<storage, read_write> weight_grad: array<f32>;  // [inputs, outputs]
@group(0) @binding(4) var<storage, read_write> bias_grad: array<f32>;    // [outputs]
