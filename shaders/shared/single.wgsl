// Kernels with one element for each invocation.

alias Numbers = f32;
const NUMBERS = 1u;
