// One step of stochastic gradient descent with momentum, as PyTorch computes it, of all parameters at once.
//
//   g         = sum over the chunks of grad_partial, in order
//   g         = g + weight_decay * parameter
//   velocity  = momentum * velocity + g
//   parameter = parameter - rate * (g + momentum * velocity if nesterov, else velocity)
//
// Each parameter begins at a multiple of 64 elements, and a row of blocks tells of each 64 where their partial sums stand.
// One invocation updates one element. CPU twin: SgdStep in src/ops/optimizer_step.rs.

override parameters: u32;
override gradients: u32;
override steps: u32;
override momentum: f32;
override nesterov: bool;
override weight_decay: f32;
override workgroup_size: u32;

@group(0) @binding(0) var<storage, read_write> parameter: array<f32>;  // [parameters]
@group(0) @binding(1) var<storage, read> grad_partial: array<f32>;     // [gradients]
@group(0) @binding(2) var<storage, read_write> velocity: array<f32>;   // [parameters]
@group(0) @binding(3) var<storage, read> blocks: array<u32>;           // [parameters / 64, 4]: offset, stride, chunks, elements
@group(0) @binding(4) var<storage, read> schedule: array<f32>;         // [steps, 3]: rate, correction 1, correction 2
@group(0) @binding(5) var<storage, read> clock: array<u32>;            // [3]: step, cursor, seed

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
fn sgd_step(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * workgroup_size;
    if i >= parameters || i % 64u >= blocks[i / 64u * 4u + 3u] { return; }
    let rate = schedule[3u * min(clock[0], steps - 1u)];

    let g = gradient(i / 64u, i % 64u) + weight_decay * parameter[i];
    let moved = momentum * velocity[i] + g;
    velocity[i] = moved;
    parameter[i] -= rate * select(moved, g + momentum * moved, nesterov);
}
