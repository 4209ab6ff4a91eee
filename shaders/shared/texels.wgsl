// Tensors read as textures, in which a texel has four neighbouring floats, or one word.

override texels_per_row: u32;

/// The place of texel `i` in a texture.
fn texel(i: u32) -> vec2<u32> {
    return vec2(i % texels_per_row, i / texels_per_row);
}

/// Four neighbouring floats out of those of two texels, the first at place `i % 4u` of the first texel.
fn four_of(here: vec4<f32>, next: vec4<f32>, i: u32) -> vec4<f32> {
    let moved = select(here, vec4(here.zw, next.xy), (i & 2u) != 0u);
    return select(moved, vec4(moved.yzw, select(next.x, next.z, (i & 2u) != 0u)), (i & 1u) != 0u);
}
