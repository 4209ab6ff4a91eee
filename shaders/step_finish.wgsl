// The end of a step: keeps the metrics of its batch in a row of the epoch's history and advances the clock.
//
//   history[cursor] = (sum over n of loss[n], sum over n of hit[n], fault);  step += 1;  cursor += 1
//
// One invocation in all. `tree` adds up with a workgroup, for GPUs.
// Parts: metrics.
// CPU twin: StepFinish in src/ops/batch.rs.

@compute @workgroup_size(1)
fn step_finish() {
    append_to_history(sums_over_samples(0u, 1u));
    advance_clock();
}
