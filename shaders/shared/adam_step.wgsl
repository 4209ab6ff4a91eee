// What a step of all parameters reads beside the gradients.

@group(0) @binding(4) var<storage, read> blocks: array<vec4<u32>>;  // [parameters / 64, 4]: offset, stride, chunks, elements
@group(0) @binding(5) var<storage, read> schedule: array<f32>;      // [steps, 3]: rate, c1, c2
@group(0) @binding(6) var<storage, read> clock: array<u32>;         // [3]: step, cursor, seed
