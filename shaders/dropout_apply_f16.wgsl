// Dropout of 16-bit floats: zeroes a random share of them and scales up the others. It is its own gradient.
//
//   output[i] = 0 where the 24 random bits of (seed, layer, step, i) are below threshold, else input[i] * scale
//
// The bits come from the counter-based generator Threefry-2x32 with 20 rounds (Salmon et al. 2011).
// One invocation computes two elements, which share a word, the first in its lower bits.
// CPU twin: DropoutApply in src/ops/half.rs.

override length: u32;  // even
override layer: u32;
override threshold: u32;
override scale: f32;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read> input: array<u32>;         // [length]
@group(0) @binding(1) var<storage, read> clock: array<u32>;         // [3]: step, cursor, seed
@group(0) @binding(2) var<storage, read_write> output: array<u32>;  // [length]

/// Four rounds with their rotations, then the injection of two words of the key.
fn four_rounds(start: vec2<u32>, rotations: vec4<u32>, injection: vec2<u32>) -> vec2<u32> {
    var x = start;
    for (var round = 0u; round < 4u; round++) {
        x.x += x.y;
        x.y = ((x.y << rotations[round]) | (x.y >> (32u - rotations[round]))) ^ x.x;
    }
    return x + injection;
}

fn threefry(key: vec2<u32>, counter: vec2<u32>) -> u32 {
    let parity = key.x ^ key.y ^ 0x1BD11BDAu;
    let even = vec4(13u, 15u, 26u, 6u);
    let odd = vec4(17u, 29u, 16u, 24u);
    var x = counter + key;
    x = four_rounds(x, even, vec2(key.y, parity + 1u));
    x = four_rounds(x, odd, vec2(parity, key.x + 2u));
    x = four_rounds(x, even, vec2(key.x, key.y + 3u));
    x = four_rounds(x, odd, vec2(key.y, parity + 4u));
    x = four_rounds(x, even, vec2(parity, key.x + 5u));
    return x.x;
}

@compute @workgroup_size(workgroup_size)
fn dropout_apply_f16(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = (id.x + id.y * groups.x * workgroup_size) * 2u;
    if i >= length { return; }
    let step = clock[0];
    let seed = clock[2];
    let key = vec2(seed, layer);
    let bits = vec2(threefry(key, vec2(i, step)), threefry(key, vec2(i + 1u, step))) >> vec2(8u);
    let values = unpack2x16float(input[i / 2u]) * scale;
    output[i / 2u] = pack2x16float(select(values, vec2(0.0), bits < vec2(threshold)));
}
