// The counter-based generator of random numbers Threefry-2x32 with 20 rounds (Salmon et al. 2011).

/// A round: the second word is rotated to the left.
fn one_round(x: vec2<u32>, rotation: u32) -> vec2<u32> {
    let sum = x.x + x.y;
    return vec2(sum, ((x.y << rotation) | (x.y >> (32u - rotation))) ^ sum);
}

/// Four rounds with their rotations, then the injection of two words of the key.
fn four_rounds(start: vec2<u32>, rotations: vec4<u32>, injection: vec2<u32>) -> vec2<u32> {
    let first = one_round(one_round(start, rotations.x), rotations.y);
    return one_round(one_round(first, rotations.z), rotations.w) + injection;
}

/// The two words that a counter gives with a key.
fn threefry(key: vec2<u32>, counter: vec2<u32>) -> vec2<u32> {
    let parity = key.x ^ key.y ^ 0x1BD11BDAu;
    let even = vec4(13u, 15u, 26u, 6u);
    let odd = vec4(17u, 29u, 16u, 24u);
    var x = counter + key;
    x = four_rounds(x, even, vec2(key.y, parity + 1u));
    x = four_rounds(x, odd, vec2(parity, key.x + 2u));
    x = four_rounds(x, even, vec2(key.x, key.y + 3u));
    x = four_rounds(x, odd, vec2(key.y, parity + 4u));
    return four_rounds(x, even, vec2(parity, key.x + 5u));
}
