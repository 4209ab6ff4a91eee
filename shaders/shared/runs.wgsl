// The floats of a convolution by fours. Builds on `conv2d`.

override quads: u32 = (out_channels + 3u) / 4u;  // groups of four output channels
override in_quads: u32 = (in_channels + 3u) / 4u;
override run: u32 = kernel * in_channels;  // the floats of a row of the kernel, in the map as in the weights
override has_in_quads: bool = in_channels % 4u == 0u;
override has_out_quads: bool = out_channels % 4u == 0u;
