// Kernels with four neighbouring elements for each invocation, which one load or store moves.

alias Numbers = vec4<f32>;
const NUMBERS = 4u;
