// Random amounts.

/// Random amounts from -most to most, by 16 random bits each.
fn amounts(bits: vec4<u32>, most: vec4<i32>) -> vec4<i32> {
    return ((vec4<i32>(bits) - (1i << 15u)) * most + (1i << 14u)) >> vec4(15u);
}
