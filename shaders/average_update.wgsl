// An exponential moving average of the parameters; the first step copies them.
//
//   average[i] = decay * average[i] + (1 - decay) * parameter[i]
//
// One invocation computes one element, or four in `quad`.
// Parts: linear, floats_f32 or texels_f32, quad or single.
// CPU twin: AverageUpdate in src/ops/average.rs.

override length: u32;
override decay: f32;
override complement: f32;  // 1 - decay, which f32 would not give to all digits

@group(0) @binding(0) var<storage, read> parameter: array<Numbers>;      // [length]
@group(0) @binding(1) var<storage, read> clock: array<u32>;              // [4]: step, cursor, seed, fault
@group(0) @binding(2) var<storage, read_write> average: array<Numbers>;  // [length]

@compute @workgroup_size(workgroup_size)
fn average_update(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= length / NUMBERS { return; }
    average[i] = select(decay * average[i] + complement * parameter[i], parameter[i], clock[0] == 0u);
}
