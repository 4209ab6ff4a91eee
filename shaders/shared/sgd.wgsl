// Stochastic gradient descent with momentum, as PyTorch computes it:
//
//   g         = grad + weight_decay * parameter
//   velocity  = momentum * velocity + g
//   parameter = parameter - rate * (g + momentum * velocity if nesterov, else velocity)

override momentum: f32;
override nesterov: bool;
override weight_decay: f32;

@group(0) @binding(0) var<storage, read_write> parameter: array<f32>;  // [parameters]
@group(0) @binding(2) var<storage, read_write> velocity: array<f32>;   // [parameters]

/// Moves an element by its gradient.
fn move_element(i: u32, grad: f32) {
    let g = grad + weight_decay * parameter[i];
    let moved = momentum * velocity[i] + g;
    velocity[i] = moved;
    parameter[i] -= schedule[schedule_row()] * select(moved, g + momentum * moved, nesterov);
}
