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
// One invocation updates four neighbouring elements. CPU twin: AdamStep in src/ops/optimizer_step.rs.

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
override texels_per_row: u32;

@group(0) @binding(0) var<storage, read_write> parameter: array<vec4<f32>>;      // [parameters]
@group(0) @binding(1) var grad_partial: texture_storage_2d<rgba32float, read>;   // [gradients]
@group(0) @binding(2) var<storage, read_write> first_moment: array<vec4<f32>>;   // [parameters]
@group(0) @binding(3) var<storage, read_write> second_moment: array<vec4<f32>>;  // [parameters]
@group(0) @binding(4) var<storage, read> blocks: array<vec4<u32>>;               // [parameters / 64, 4]: offset, stride, chunks, elements
@group(0) @binding(5) var<storage, read> schedule: array<f32>;                   // [steps, 3]: rate, c1, c2
@group(0) @binding(6) var<storage, read> clock: array<u32>;                      // [3]: step, cursor, seed

/// The place of texel `i` in a texture.
fn texel(i: u32) -> vec2<u32> {
    return vec2(i % texels_per_row, i / texels_per_row);
}

/// Four neighbouring partial sums, the first anywhere in a texel.
fn partials_at(i: u32) -> vec4<f32> {
    let here = textureLoad(grad_partial, texel(i / 4u));
    let next = textureLoad(grad_partial, texel(i / 4u + 1u));
    let moved = select(here, vec4(here.zw, next.xy), (i & 2u) != 0u);
    return select(moved, vec4(moved.yzw, select(next.x, next.z, (i & 2u) != 0u)), (i & 1u) != 0u);
}

/// The gradients of four elements of a block: their partial sums, in order.
fn gradients_of(block: vec4<u32>, element: u32) -> vec4<f32> {
    var sum = vec4(0.0);
    for (var chunk = 0u; chunk < block.z; chunk++) {
        sum += partials_at(block.x + element + chunk * block.y);
    }
    return sum;
}

@compute @workgroup_size(workgroup_size)
fn adam_step(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let quad = id.x + id.y * groups.x * workgroup_size;
    if quad >= parameters / 4u { return; }
    let block = blocks[quad / 16u];
    let element = quad % 16u * 4u;
    let row = 3u * min(clock[0], steps - 1u);
    let rate = schedule[row];

    let old = parameter[quad];
    let old_mean = first_moment[quad];
    let old_square = second_moment[quad];
    var g = gradients_of(block, element);
    var value = old;
    if decoupled {
        value *= 1.0 - rate * weight_decay;
    } else {
        g += weight_decay * value;
    }
    let mean = beta1 * old_mean + beta1_complement * g;
    let square = beta2 * old_square + beta2_complement * g * g;
    value -= rate * (mean * schedule[row + 1u]) / (sqrt(square * schedule[row + 2u]) + epsilon);
    // Behind the last element of a parameter nothing changes.
    let inside = vec4(element) + vec4(0u, 1u, 2u, 3u) < vec4(block.w);
    parameter[quad] = select(old, value, inside);
    first_moment[quad] = select(old_mean, mean, inside);
    second_moment[quad] = select(old_square, square, inside);
}
