// Max-pooling over windows that touch but do not overlap, with a rectifier behind it.
//
//   output[n,y,x,c] = rectified(max over ky, kx of input[n, window_height * y + ky, window_width * x + kx, c])
//   argmax[n,y,x,c] = ky * window_width + kx of that maximum, the first one of equals
//
// Rows and columns left over at the end are dropped. One invocation computes one word of the output, in memory order.
// `quad` computes four channels, where their number is a multiple of 4.
//
// Parts: linear, floats_f16 or floats_f32 or texels_f16 or texels_f32, quad or single, channels, windows, rectifier.
// CPU twin: MaxPoolForward in src/ops/max_pool.rs.

@group(0) @binding(0) var<storage, read> input: array<Numbers>;         // [batch, height, width, channels]
@group(0) @binding(1) var<storage, read_write> output: array<Numbers>;  // [batch, out_height, out_width, channels]
@group(0) @binding(2) var<storage, read_write> argmax: array<u32>;      // [batch, out_height, out_width, channels]

@compute @workgroup_size(workgroup_size)
fn max_pool_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    let to = place_of(i, out_height, out_width);
    if to.n >= batch { return; }

    let corner = group_at(to.n, to.y * window_height, to.x * window_width, to.group);
    var best = values_of(input[corner]);
    var places = vec4(0u);
    for (var ky = 0u; ky < window_height; ky++) {
        for (var kx = 0u; kx < window_width; kx++) {
            let values = values_of(input[corner + (ky * width + kx) * channel_groups]);
            let is_larger = values > best;
            best = select(best, values, is_larger);
            places = select(places, vec4(ky * window_width + kx), is_larger);
        }
    }
    output[i] = numbers_of(rectified(best));
    for (var k = 0u; k < NUMBERS; k++) { argmax[i * NUMBERS + k] = places[k]; }
}
