// Chains of 16-bit floats.

enable f16;

alias Number = f16;
