// Sizes of max-pooling over square windows that touch but do not overlap.

override planes: u32;
override height: u32;
override width: u32;
override size: u32;

override out_height: u32 = height / size;
override out_width: u32 = width / size;
