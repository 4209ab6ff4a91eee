// The sizes of a convolution with stride 1, then ReLU, then max-pooling over windows that touch. Builds on `conv2d`.

const stride = 1u;
override pool: u32;

override pooled_height: u32 = out_height / pool;
override pooled_width: u32 = out_width / pool;
override pooled_area: u32 = pooled_height * pooled_width;
override windows: u32 = batch * pooled_area;
