// Dropout: zeroes a random share of the elements and scales up the others. It is its own gradient.
//
//   output[i] = 0 where the 24 random bits of (seed, layer, step, i) are below threshold, else input[i] * scale
//
// One invocation computes one word.
// Parts: linear, floats_f16 or floats_f32, threefry.
// CPU twin: DropoutApply in src/ops/dropout.rs.

override length: u32;  // a multiple of the floats of a word
override layer: u32;
override threshold: u32;
override scale: f32;

@group(0) @binding(0) var<storage, read> input: array<Word>;         // [length]
@group(0) @binding(1) var<storage, read> clock: array<u32>;          // [3]: step, cursor, seed
@group(0) @binding(2) var<storage, read_write> output: array<Word>;  // [length]

fn output_at(i: u32) -> f32 {
    let step = clock[0];
    let seed = clock[2];
    let bits = threefry(vec2(seed, layer), vec2(i, step)) >> 8u;
    return select(float_of(input[i / FLOATS_PER_WORD], i) * scale, 0.0, bits < threshold);
}

@compute @workgroup_size(workgroup_size)
fn dropout_apply(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let word = linear_index(id, groups);
    if word >= length / FLOATS_PER_WORD { return; }
    var values = vec4(output_at(word * FLOATS_PER_WORD));
    if FLOATS_PER_WORD == 2u { values.y = output_at(word * FLOATS_PER_WORD + 1u); }
    output[word] = word_of(values, 0u);
}
