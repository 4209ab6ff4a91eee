// Kernels with four neighbouring elements for each invocation, which one load or store moves. Parts: texels_f16 or texels_f32.

alias Numbers = Four;
const NUMBERS = 4u;

fn values_of(four: Four) -> vec4<f32> {
    return unpacked(four);
}

fn numbers_of(values: vec4<f32>) -> Four {
    return packed(values);
}
