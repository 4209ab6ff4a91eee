// The sizes of a convolution.
// Needs from another part: stride.

override batch: u32;
override in_channels: u32;
override in_height: u32;
override in_width: u32;
override out_channels: u32;
override kernel: u32;
override padding: u32;

override before: u32 = padding / 2u;
override out_height: u32 = (in_height + padding - kernel) / stride + 1u;
override out_width: u32 = (in_width + padding - kernel) / stride + 1u;
