// Dense (fully connected) layer with bias, then ReLU, in half precision.
//
//   output[n,o] = max(0, bias[o] + sum over k of input[n,k] * weight[k,o])
//
// One invocation computes two neighbours, which share a word, the first in its lower bits. Sums are added up in
// 32 bits. CPU twin: DenseReluForward in src/ops/dense_relu/half.rs.

override batch: u32;
override inputs: u32;
override outputs: u32;  // even
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read> input: array<u32>;         // [batch, inputs]
@group(0) @binding(1) var<storage, read> weight: array<u32>;        // [inputs, outputs]
@group(0) @binding(2) var<storage, read> bias: array<f32>;          // [outputs]
@group(0) @binding(3) var<storage, read_write> output: array<u32>;  // [batch, outputs]

/// An element of weight, widened.
fn weight_at(i: u32) -> f32 {
    return unpack2x16float(weight[i / 2u])[i % 2u];
}

/// An element of input, widened.
fn input_at(i: u32) -> f32 {
    return unpack2x16float(input[i / 2u])[i % 2u];
}

fn output_at(n: u32, o: u32) -> f32 {
    var sum = bias[o];
    for (var k = 0u; k < inputs; k++) {
        sum += input_at(n * inputs + k) * weight_at(k * outputs + o);
    }
    return max(sum, 0.0);
}

@compute @workgroup_size(workgroup_size)
fn dense_relu_forward_f16(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = (id.x + id.y * groups.x * workgroup_size) * 2u;
    if i >= batch * outputs { return; }
    let o = i % outputs;
    let n = i / outputs;
    output[i / 2u] = pack2x16float(vec2(output_at(n, o), output_at(n, o + 1u)));
}
