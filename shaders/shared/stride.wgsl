// The distance in the input of neighbouring positions of a convolution.

override stride: u32;
