// Appends the metrics of a batch to the epoch's history, of which they are one row.
//
//   history[cursor] = (sum over n of loss[n], sum over n of hit[n])
//
// One invocation in all.
// Parts: metrics.
// CPU twin: MetricsAppend in src/ops/batch.rs.

@group(0) @binding(2) var<storage, read> clock: array<u32>;  // [3]: step, cursor, seed

@compute @workgroup_size(1)
fn metrics_append() {
    append_to_history(sums_over_samples(0u, 1u));
}
