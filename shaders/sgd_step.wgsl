// One step of stochastic gradient descent with momentum of all parameters at once, as PyTorch computes it:
//
//   g         = grad_scale * grad + weight_decay * parameter
//   velocity  = momentum * velocity + g
//   parameter = parameter - rate * (g + momentum * velocity if nesterov, else velocity)
//
// where grad is the sum over the chunks of grad_partial, in order. One invocation updates one element.
// Parts: linear, floats_f32, single, segments, partials, schedule, faults.
// CPU twin: SgdStep in src/ops/optimizer.rs.

override momentum: f32;
override nesterov: bool;
override weight_decay: f32;

@group(0) @binding(0) var<storage, read_write> parameter: array<f32>;  // [parameters]
@group(0) @binding(1) var<storage, read> grad_partial: array<f32>;     // [gradients]
@group(0) @binding(2) var<storage, read_write> velocity: array<f32>;   // [parameters]
@group(0) @binding(3) var<storage, read> blocks: array<vec4<u32>>;     // [parameters / 64, 4]: offset, stride, chunks, elements
@group(0) @binding(4) var<storage, read> schedule: array<f32>;         // [steps, 3]: rate, correction 1, correction 2
@group(0) @binding(5) var<storage, read_write> clock: array<atomic<u32>>;  // [4]: step, cursor, seed, fault
@group(0) @binding(6) var<storage, read> grad_scale: array<f32>;       // [1]

@compute @workgroup_size(workgroup_size)
fn sgd_step(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= parameters || i % 64u >= blocks[i / 64u].w { return; }
    let g = grad_scale[0] * sum_of_partials(blocks[i / 64u], i % 64u) + weight_decay * parameter[i];
    let moved = momentum * velocity[i] + g;
    velocity[i] = moved;
    let next = parameter[i] - schedule[schedule_row()] * select(moved, g + momentum * moved, nesterov);
    parameter[i] = next;
    note_faults(values_of(next));
}
