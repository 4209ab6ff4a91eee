// Sizes of pooling over windows that touch but do not overlap. Rows and columns left over at the end belong to none.

override height: u32;
override width: u32;
override window_height: u32;
override window_width: u32;

override out_height: u32 = height / window_height;
override out_width: u32 = width / window_width;

/// The group of channels of the map before, at a row and column.
fn group_at(n: u32, y: u32, x: u32, group: u32) -> u32 {
    return ((n * height + y) * width + x) * channel_groups + group;
}
