// What one lane of a subgroup has loaded, for all of its lanes.

/// The vectors of lane `l`, one of the first eight.
fn of_lane(values: mat4x4<f32>, l: u32) -> mat4x4<f32> {
    return mat4x4(subgroupShuffle(values[0], l), subgroupShuffle(values[1], l), subgroupShuffle(values[2], l), subgroupShuffle(values[3], l));
}
