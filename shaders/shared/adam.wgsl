// Adam (Kingma & Ba 2015) or, with decoupled decay, AdamW (Loshchilov & Hutter 2019), as PyTorch computes it:
//
//   g             = grad_scale * grad + weight_decay * parameter        (Adam)
//   parameter     = parameter * (1 - rate * weight_decay)               (AdamW)
//   first_moment  = beta1 * first_moment + (1 - beta1) * g
//   second_moment = beta2 * second_moment + (1 - beta2) * g * g
//   parameter     = parameter - rate * (first_moment * c1) / (sqrt(second_moment * c2) + epsilon)

override beta1: f32;
override beta2: f32;
override beta1_complement: f32;  // 1 - beta1, which f32 would not give to all digits
override beta2_complement: f32;
override epsilon: f32;
override weight_decay: f32;
override decoupled: bool;

@group(0) @binding(0) var<storage, read_write> parameter: array<Numbers>;      // [parameters]
@group(0) @binding(2) var<storage, read_write> first_moment: array<Numbers>;   // [parameters]
@group(0) @binding(3) var<storage, read_write> second_moment: array<Numbers>;  // [parameters]
@group(0) @binding(4) var<storage, read> blocks: array<vec4<u32>>;  // [parameters / 64, 4]: offset, stride, chunks, elements
@group(0) @binding(5) var<storage, read> schedule: array<f32>;      // [steps, 3]: rate, c1, c2
@group(0) @binding(6) var<storage, read_write> clock: array<atomic<u32>>;  // [4]: step, cursor, seed, fault
@group(0) @binding(7) var<storage, read> grad_scale: array<f32>;    // [1]

/// What the optimizer knows of an element, or of four.
struct State {
    parameter: Numbers,
    first_moment: Numbers,
    second_moment: Numbers,
}

fn load_state(i: u32) -> State {
    return State(parameter[i], first_moment[i], second_moment[i]);
}

fn store_state(i: u32, state: State) {
    parameter[i] = state.parameter;
    first_moment[i] = state.first_moment;
    second_moment[i] = state.second_moment;
}

/// The state after a step.
fn moved(old: State, grad: Numbers) -> State {
    let row = schedule_row();
    let rate = schedule[row];
    var g = grad_scale[0] * grad;
    var value = old.parameter;
    if decoupled {
        value *= 1.0 - rate * weight_decay;
    } else {
        g += weight_decay * value;
    }
    let mean = beta1 * old.first_moment + beta1_complement * g;
    let square = beta2 * old.second_moment + beta2_complement * g * g;
    value -= rate * (mean * schedule[row + 1u]) / (sqrt(square * schedule[row + 2u]) + epsilon);
    return State(value, mean, square);
}
