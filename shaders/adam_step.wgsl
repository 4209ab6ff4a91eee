// One step of Adam (Kingma & Ba 2015) or, with decoupled decay, AdamW (Loshchilov & Hutter 2019), of all parameters at once.
//
//   g             = sum over the chunks of grad_partial, in order
//   g             = g + weight_decay * parameter                        (Adam)
//   parameter     = parameter * (1 - rate * weight_decay)               (AdamW)
//   first_moment  = beta1 * first_moment + (1 - beta1) * g
//   second_moment = beta2 * second_moment + (1 - beta2) * g * g
//   parameter     = parameter - rate * (first_moment * c1) / (sqrt(second_moment * c2) + epsilon)
//
// Each parameter begins at a multiple of 64 elements, and a row of blocks tells of each 64 where their partial sums stand.
// One invocation updates one element. CPU twin: AdamStep in src/ops/optimizer_step.rs.

override parameters: u32;
override gradients: u32;
override steps: u32;
override beta1: f32;
override beta2: f32;
override beta1_complement: f32;  // 1 - beta1, which f32 would not give to all digits
override beta2_complement: f32;
override epsilon: f32;
override weight_decay: f32;
override decoupled: bool;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read_write> parameter: array<f32>;      // [parameters]
@group(0) @binding(1) var<storage, read> grad_partial: array<f32>;         // [gradients]
@group(0) @binding(2) var<storage, read_write> first_moment: array<f32>;   // [parameters]
@group(0) @binding(3) var<storage, read_write> second_moment: array<f32>;  // [parameters]
@group(0) @binding(4) var<storage, read> blocks: array<u32>;               // [parameters / 64, 4]: offset, stride, chunks, elements
@group(0) @binding(5) var<storage, read> schedule: array<f32>;             // [steps, 3]: rate, c1, c2
@group(0) @binding(6) var<storage, read> clock: array<u32>;                // [3]: step, cursor, seed

/// The gradient of an element of a block: its partial sums, in order.
fn gradient(block: u32, element: u32) -> f32 {
    let offset = blocks[4u * block] + element;
    let stride = blocks[4u * block + 1u];
    let chunks = blocks[4u * block + 2u];
    var sum = 0.0;
    for (var chunk = 0u; chunk < chunks; chunk++) {
        sum += grad_partial[offset + chunk * stride];
    }
    return sum;
}

@compute @workgroup_size(workgroup_size)
fn adam_step(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * workgroup_size;
    if i >= parameters || i % 64u >= blocks[i / 64u * 4u + 3u] { return; }
    let row = 3u * min(clock[0], steps - 1u);
    let rate = schedule[row];

    var g = gradient(i / 64u, i % 64u);
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
