// Moves the clock on to the next step of the run and of the epoch.
//
//   clock[0] += 1 (step), clock[1] += 1 (cursor)
//
// One invocation in all.
// Parts: clock.
// CPU twin: ClockAdvance in src/ops/batch.rs.

@group(0) @binding(0) var<storage, read_write> clock: array<u32>;  // [3]: step, cursor, seed

@compute @workgroup_size(1)
fn clock_advance() {
    advance_clock();
}
