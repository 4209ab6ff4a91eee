// Folds the batch normalisation behind a convolution or dense layer into its weights, for evaluation.
//
//   factor[o]          = norm_weight[o] / sqrt(running_var[o] + epsilon)
//   folded_weight[i,o] = weight[i,o] * factor[o]
//   folded_bias[o]     = (bias[o] - running_mean[o]) * factor[o] + norm_bias[o]
//
// One invocation computes one weight; the first ones also a bias each.
// Parts: linear.
// CPU twin: NormFold in src/ops/norm/apply.rs.

override terms: u32;
override outputs: u32;
override epsilon: f32;

@group(0) @binding(0) var<storage, read> weight: array<f32>;               // [terms, outputs]
@group(0) @binding(1) var<storage, read> bias: array<f32>;                 // [outputs]
@group(0) @binding(2) var<storage, read> norm_weight: array<f32>;          // [outputs]
@group(0) @binding(3) var<storage, read> norm_bias: array<f32>;            // [outputs]
@group(0) @binding(4) var<storage, read> running_mean: array<f32>;         // [outputs]
@group(0) @binding(5) var<storage, read> running_var: array<f32>;          // [outputs]
@group(0) @binding(6) var<storage, read_write> folded_weight: array<f32>;  // [terms, outputs]
@group(0) @binding(7) var<storage, read_write> folded_bias: array<f32>;    // [outputs]

@compute @workgroup_size(workgroup_size)
fn norm_fold(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups);
    if i >= terms * outputs { return; }
    let o = i % outputs;
    let factor = norm_weight[o] / sqrt(running_var[o] + epsilon);
    folded_weight[i] = weight[i] * factor;
    if i < outputs { folded_bias[o] = (bias[o] - running_mean[o]) * factor + norm_bias[o]; }
}
