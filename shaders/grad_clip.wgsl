// The factor by which the optimizer multiplies all gradients, so that their norm is at most `most` (PyTorch's clip_grad_norm_).
//
//   grad_scale = min(1, most / (sqrt(sum over all blocks of square_partial[block]) + 1e-6))
//
// One workgroup in all: each invocation adds every `workgroup_size`-th square, and these sums are added in pairs.
// CPU twin: GradClip in src/ops/clip.rs.

override blocks: u32;
override most: f32;
override workgroup_size: u32;  // a power of 2

@group(0) @binding(0) var<storage, read> square_partial: array<f32>;    // [blocks]
@group(0) @binding(1) var<storage, read_write> grad_scale: array<f32>;  // [1]

var<workgroup> sums: array<f32, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn grad_clip(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var i = local; i < blocks; i += workgroup_size) {
        sum += square_partial[i];
    }
    sums[local] = sum;
    workgroupBarrier();
    for (var half = workgroup_size / 2u; half >= 1u; half /= 2u) {
        if local < half { sums[local] += sums[local + half]; }
        workgroupBarrier();
    }
    if local == 0u { grad_scale[0] = min(1.0, most / (sqrt(sums[0]) + 1e-6)); }
}
