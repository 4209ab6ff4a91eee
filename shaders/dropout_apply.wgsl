// Dropout: zeroes a random share of the elements and scales up the others. It is its own gradient.
//
//   output[i] = 0 where the 16 random bits of element i are below threshold, else input[i] * scale
//
// Four neighbours share the 64 bits that the generator makes of (seed, layer) and (i / 4, step). One invocation computes one
// word.
// `quad` computes four elements, where the length is a multiple of 4, and generates their bits once.
//
// Parts: linear, floats_f16 or floats_f32 or texels_f16 or texels_f32, quad or single, threefry.
// CPU twin: DropoutApply in src/ops/dropout.rs.

override length: u32;  // a multiple of NUMBERS
override layer: u32;
override threshold: u32;
override scale: f32;

@group(0) @binding(0) var<storage, read> input: array<Numbers>;         // [length]
@group(0) @binding(1) var<storage, read> clock: array<u32>;             // [4]: step, cursor, seed, fault
@group(0) @binding(2) var<storage, read_write> output: array<Numbers>;  // [length]

@compute @workgroup_size(workgroup_size)
fn dropout_apply(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= length / NUMBERS { return; }
    let words = threefry(vec2(clock[2], layer), vec2(i * NUMBERS / 4u, clock[0]));
    var bits = vec4(words.x >> 16u, words.x & 0xffffu, words.y >> 16u, words.y & 0xffffu);
    if NUMBERS < 4u {
        // The place of the first element among the four; where there are two, it is even.
        let first = i * NUMBERS % 4u;
        bits = vec4(bits[first], bits[first | 1u], vec2<u32>());
    }
    output[i] = numbers_of(select(values_of(input[i]) * scale, vec4(0.0), bits < vec4(threshold)));
}
