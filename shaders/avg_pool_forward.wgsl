// Average-pooling over windows that touch but do not overlap, with a rectifier behind it.
//
//   output[n,y,x,c] = rectified(mean over ky, kx of input[n, window_height * y + ky, window_width * x + kx, c])
//
// Rows and columns left over at the end are dropped. One invocation computes one word of the output, in memory order.
// `quad` computes four channels, where their number is a multiple of 4.
//
// Parts: linear, floats_f16 or floats_f32 or texels_f16 or texels_f32, quad or single, channels, windows, rectifier.
// CPU twin: AvgPoolForward in src/ops/avg_pool.rs.

@group(0) @binding(0) var<storage, read> input: array<Numbers>;         // [batch, height, width, channels]
@group(0) @binding(1) var<storage, read_write> output: array<Numbers>;  // [batch, out_height, out_width, channels]

@compute @workgroup_size(workgroup_size)
fn avg_pool_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    let to = place_of(i, out_height, out_width);
    if to.n >= batch { return; }

    let corner = group_at(to.n, to.y * window_height, to.x * window_width, to.group);
    var sums = vec4(0.0);
    for (var ky = 0u; ky < window_height; ky++) {
        for (var kx = 0u; kx < window_width; kx++) {
            sums += values_of(input[corner + (ky * width + kx) * channel_groups]);
        }
    }
    output[i] = numbers_of(rectified(sums / f32(window_height * window_width)));
}
