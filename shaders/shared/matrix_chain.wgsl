// Chains of products of small matrices: sizes and operands.

override groups: u32;
override size: u32;
override rounds: u32;

@group(0) @binding(0) var<storage, read> left: array<f32>;          // [16 * groups, size, size]
@group(0) @binding(1) var<storage, read> right: array<f32>;         // [size, size]
@group(0) @binding(2) var<storage, read_write> output: array<f32>;  // [16 * groups, size, size]
