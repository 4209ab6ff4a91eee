// Chains of 32-bit floats.

alias Number = f32;
