// The end of a step, for GPUs: keeps the metrics of its batch in a row of the epoch's history and advances the clock.
//
//   history[cursor] = (sum over n of loss[n], sum over n of hit[n], fault);  step += 1;  cursor += 1
//
// One workgroup in all. A single invocation of a GPU would wait a good part of a microsecond for each read, so here many share
// the sum: each adds every `workgroup_size`-th sample, and these sums are added in pairs.
// Parts: metrics.
// CPU twin: StepFinish in src/ops/batch.rs.

override workgroup_size: u32;  // a power of 2

var<workgroup> sums: array<Metrics, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn step_finish(@builtin(local_invocation_index) local: u32) {
    sums[local] = sums_over_samples(local, workgroup_size);
    workgroupBarrier();
    for (var half = workgroup_size / 2u; half >= 1u; half /= 2u) {
        if local < half {
            sums[local].loss += sums[local + half].loss;
            sums[local].hits += sums[local + half].hits;
        }
        workgroupBarrier();
    }
    if local == 0u {
        append_to_history(sums[0]);
        advance_clock();
    }
}
