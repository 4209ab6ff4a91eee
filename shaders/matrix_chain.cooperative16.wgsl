// Chains of 16x16 matrix products on the adapter's matrix units, f16 in and f32 accumulated: its peak matrix rate.
//
//   output[t] = sum over rounds of left[t] * right, each of them [16, 16]
//
// A workgroup owns 16 tiles: it converts its left sides to f16 in workgroup memory, and its subgroups take four tiles at a
// time, so that a product need not wait for the one before. Needs cooperative matrices of 16x16, a feature that wgpu has
// and browsers have not. Plain twin: matrix_chain.wgsl, CPU twin: MatrixChain in src/ops/peak.rs.

enable f16;
enable wgpu_cooperative_matrix;

const SIZE: u32 = 16u;
const AREA: u32 = SIZE * SIZE;
const TILES: u32 = 16u;

override groups: u32;
override size: u32;
override rounds: u32;
override workgroup_size: u32;  // a multiple of the lanes of a subgroup

@group(0) @binding(0) var<storage, read> left: array<f32>;          // [16 * groups, size, size]
@group(0) @binding(1) var<storage, read> right: array<f32>;         // [size, size]
@group(0) @binding(2) var<storage, read_write> output: array<f32>;  // [16 * groups, size, size]

var<workgroup> left_half: array<f16, TILES * AREA>;
var<workgroup> right_half: array<f16, AREA>;

@compute @workgroup_size(workgroup_size)
fn matrix_chain(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let first = group.x * TILES * AREA;
    for (var i = lane; i < TILES * AREA; i += workgroup_size) { left_half[i] = f16(left[first + i]); }
    for (var i = lane; i < AREA; i += workgroup_size) { right_half[i] = f16(right[i]); }
    workgroupBarrier();

    let b = coopLoadT<coop_mat16x16<f16, B>>(&right_half[0], SIZE);
    for (var tile = 4u * subgroup; tile < TILES; tile += 4u * subgroups) {
        let a0 = coopLoadT<coop_mat16x16<f16, A>>(&left_half[tile * AREA], SIZE);
        let a1 = coopLoadT<coop_mat16x16<f16, A>>(&left_half[(tile + 1u) * AREA], SIZE);
        let a2 = coopLoadT<coop_mat16x16<f16, A>>(&left_half[(tile + 2u) * AREA], SIZE);
        let a3 = coopLoadT<coop_mat16x16<f16, A>>(&left_half[(tile + 3u) * AREA], SIZE);
        var c0 = coop_mat16x16<f32, C>();
        var c1 = coop_mat16x16<f32, C>();
        var c2 = coop_mat16x16<f32, C>();
        var c3 = coop_mat16x16<f32, C>();
        for (var round = 0u; round < rounds; round++) {
            c0 = coopMultiplyAdd(a0, b, c0);
            c1 = coopMultiplyAdd(a1, b, c1);
            c2 = coopMultiplyAdd(a2, b, c2);
            c3 = coopMultiplyAdd(a3, b, c3);
        }
        let place = first + tile * AREA;
        coopStoreT(c0, &output[place], SIZE);
        coopStoreT(c1, &output[place + AREA], SIZE);
        coopStoreT(c2, &output[place + 2u * AREA], SIZE);
        coopStoreT(c3, &output[place + 3u * AREA], SIZE);
    }
}
