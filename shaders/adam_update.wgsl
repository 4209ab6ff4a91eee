// One step of Adam (Kingma & Ba 2015) or, with decoupled decay, AdamW (Loshchilov & Hutter 2019), as PyTorch does it.
//
//   g             = grad + weight_decay * parameter                     (Adam)
//   parameter     = parameter * (1 - rate * weight_decay)               (AdamW)
//   first_moment  = beta1 * first_moment + (1 - beta1) * g
//   second_moment = beta2 * second_moment + (1 - beta2) * g * g
//   parameter     = parameter - rate * (first_moment * c1) / (sqrt(second_moment * c2) + epsilon)
//
// One invocation updates one element. CPU twin: AdamUpdate in src/ops/optimizer.rs.

override length: u32;
override steps: u32;
override beta1: f32;
override beta2: f32;
override beta1_complement: f32;  // 1 - beta1, which f32 would not give to all digits
override beta2_complement: f32;
override epsilon: f32;
override weight_decay: f32;
override decoupled: bool;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read_write> parameter: array<f32>;      // [length]
@group(0) @binding(1) var<storage, read> grad: array<f32>;                 // [length]
@group(0) @binding(2) var<storage, read_write> first_moment: array<f32>;   // [length]
@group(0) @binding(3) var<storage, read_write> second_moment: array<f32>;  // [length]
@group(0) @binding(4) var<storage, read> schedule: array<f32>;             // [steps, 3]: rate, c1, c2
@group(0) @binding(5) var<storage, read> clock: array<u32>;                // [3]: step, cursor, seed

@compute @workgroup_size(workgroup_size)
fn adam_update(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * workgroup_size;
    if i >= length { return; }
    let row = 3u * min(clock[0], steps - 1u);
    let rate = schedule[row];

    var g = grad[i];
    var value = parameter[i];
    if decoupled {
        value *= 1.0 - rate * weight_decay;
    } else {
        g += weight_decay * value;
    }
    let mean = beta1 * first_moment[i] + beta1_complement * g;
    let square = beta2 * second_moment[i] + beta2_complement * g * g;
    first_moment[i] = mean;
    second_moment[i] = square;
    parameter[i] = value - rate * (mean * schedule[row + 1u]) / (sqrt(square * schedule[row + 2u]) + epsilon);
}
