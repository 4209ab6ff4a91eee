// How an adapter computes: `answer` of numbers from a buffer, which no compiler knows.
//
// Each question of src/arithmetic/questions.rs adds its own `answer`, one expression, and has its CPU twin beside it.
// Parts: linear.

override length: u32;

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> answers: array<u32>;

@compute @workgroup_size(workgroup_size)
fn arithmetic(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= length { return; }
    answers[i] = answer(values[3u * i], values[3u * i + 1u], values[3u * i + 2u]);
}
