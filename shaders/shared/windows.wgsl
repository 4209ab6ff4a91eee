// Sizes of pooling over windows that touch but do not overlap. Rows and columns left over at the end belong to none.

override height: u32;
override width: u32;
override window_height: u32;
override window_width: u32;

override out_height: u32 = height / window_height;
override out_width: u32 = width / window_width;

/// A group of channels at a place: sample, row and column.
struct Place {
    n: u32,
    y: u32,
    x: u32,
    group: u32,
}

/// The `i`-th group of channels of maps of `down` rows and `across` columns, in memory order.
fn place_of(i: u32, down: u32, across: u32) -> Place {
    let position = i / channel_groups;
    return Place(position / (down * across), position / across % down, position % across, i % channel_groups);
}

/// The group of channels of the map before, at a row and column.
fn group_at(n: u32, y: u32, x: u32, group: u32) -> u32 {
    return ((n * height + y) * width + x) * channel_groups + group;
}
