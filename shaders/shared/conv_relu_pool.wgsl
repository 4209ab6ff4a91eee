// The sizes of a convolution with stride 1, then ReLU, then max-pooling over windows that touch. Builds on `conv2d`.

const stride = 1u;
override pool: u32;

override pooled_height: u32 = out_height / pool;
override pooled_width: u32 = out_width / pool;
override pooled_area: u32 = pooled_height * pooled_width;
override windows: u32 = batch * pooled_area;
override quads: u32 = (out_channels + 3u) / 4u;  // groups of four output channels
override in_quads: u32 = (in_channels + 3u) / 4u;
override run: u32 = kernel * in_channels;  // the floats of a row of the kernel, in the map as in the weights
override has_in_quads: bool = in_channels % 4u == 0u;
override has_out_quads: bool = out_channels % 4u == 0u;
