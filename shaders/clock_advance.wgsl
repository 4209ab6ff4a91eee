// Moves the clock on to the next step of the run and of the epoch.
//
//   clock[0] += 1 (step), clock[1] += 1 (cursor)
//
// One invocation in all. CPU twin: ClockAdvance in src/ops/batch.rs.

override workgroup_size: u32;

@group(0) @binding(0) var<storage, read_write> clock: array<u32>;  // [3]: step, cursor, seed

@compute @workgroup_size(workgroup_size)
fn clock_advance(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x > 0u { return; }
    clock[0] += 1u;
    clock[1] += 1u;
}
