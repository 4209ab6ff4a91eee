// One step of stochastic gradient descent with momentum, as PyTorch computes it.
//
//   g         = grad + weight_decay * parameter
//   velocity  = momentum * velocity + g
//   parameter = parameter - rate * (g + momentum * velocity if nesterov, else velocity)
//
// One invocation updates one element. CPU twin: SgdUpdate in src/ops/optimizer.rs.

override length: u32;
override steps: u32;
override momentum: f32;
override nesterov: bool;
override weight_decay: f32;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read_write> parameter: array<f32>;  // [length]
@group(0) @binding(1) var<storage, read> grad: array<f32>;             // [length]
@group(0) @binding(2) var<storage, read_write> velocity: array<f32>;   // [length]
@group(0) @binding(3) var<storage, read> schedule: array<f32>;         // [steps, 3]: rate, correction 1, correction 2
@group(0) @binding(4) var<storage, read> clock: array<u32>;            // [3]: step, cursor, seed

@compute @workgroup_size(workgroup_size)
fn sgd_update(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * workgroup_size;
    if i >= length { return; }
    let rate = schedule[3u * min(clock[0], steps - 1u)];

    let g = grad[i] + weight_decay * parameter[i];
    let moved = momentum * velocity[i] + g;
    velocity[i] = moved;
    parameter[i] -= rate * select(moved, g + momentum * moved, nesterov);
}
