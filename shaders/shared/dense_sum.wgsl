// An output of a dense layer, without activation.

@group(0) @binding(0) var<storage, read> input: array<Word>;   // [batch, inputs]
@group(0) @binding(1) var<storage, read> weight: array<Word>;  // [inputs, outputs]
@group(0) @binding(2) var<storage, read> bias: array<f32>;     // [outputs]

fn output_at(n: u32, o: u32) -> f32 {
    var sum = bias[o];
    for (var k = 0u; k < inputs; k++) {
        let i = n * inputs + k;
        let j = k * outputs + o;
        sum += float_of(input[i / FLOATS_PER_WORD], i) * float_of(weight[j / FLOATS_PER_WORD], j);
    }
    return sum;
}
