// Chains of products of small matrices on the adapter's matrix units, f16 in and f32 accumulated: its peak matrix rate.
//
//   output[t] = sum over rounds of left[t] * right, each of them [size, size]
//
// A workgroup owns 16 tiles: it converts its left sides to f16 in workgroup memory, and its subgroups take four tiles at a
// time, so that a product need not wait for the one before. Needs cooperative matrices of that size.
// Parts: matrix16 or matrix8, matrix_chain.
// CPU twin: MatrixChain in src/ops/peak.rs.

override workgroup_size: u32;  // a multiple of the lanes of a subgroup

const AREA: u32 = SIZE * SIZE;
const TILES: u32 = 16u;

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

    let b = coopLoadT<Right>(&right_half[0], SIZE);
    for (var tile = 4u * subgroup; tile < TILES; tile += 4u * subgroups) {
        let a0 = coopLoadT<Left>(&left_half[tile * AREA], SIZE);
        let a1 = coopLoadT<Left>(&left_half[(tile + 1u) * AREA], SIZE);
        let a2 = coopLoadT<Left>(&left_half[(tile + 2u) * AREA], SIZE);
        let a3 = coopLoadT<Left>(&left_half[(tile + 3u) * AREA], SIZE);
        var c0 = Sum();
        var c1 = Sum();
        var c2 = Sum();
        var c3 = Sum();
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
