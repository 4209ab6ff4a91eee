// The end of a step, for GPUs: keeps the metrics of its batch in a row of the epoch's history and advances the clock.
//
//   history[cursor] = (sum over n of loss[n], sum over n of hit[n]);  step += 1;  cursor += 1
//
// One workgroup in all, for on a GPU each read takes a single invocation a good part of a microsecond: each invocation sums
// over every so many-th sample, and these sums are added in pairs. CPU twin: StepFinish in src/ops/batch.rs.

override batch: u32;
override rows: u32;
override workgroup_size: u32;  // a power of 2

@group(0) @binding(0) var<storage, read> loss: array<f32>;           // [batch]
@group(0) @binding(1) var<storage, read> hit: array<u32>;            // [batch]
@group(0) @binding(2) var<storage, read_write> clock: array<u32>;    // [3]: step, cursor, seed
@group(0) @binding(3) var<storage, read_write> history: array<f32>;  // [rows, 2]

var<workgroup> losses: array<f32, workgroup_size>;
var<workgroup> hits: array<u32, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn step_finish(@builtin(local_invocation_index) local: u32) {
    var loss_sum = 0.0;
    var hit_sum = 0u;
    for (var n = local; n < batch; n += workgroup_size) {
        loss_sum += loss[n];
        hit_sum += hit[n];
    }
    losses[local] = loss_sum;
    hits[local] = hit_sum;
    workgroupBarrier();
    for (var half = workgroup_size / 2u; half >= 1u; half /= 2u) {
        if local < half {
            losses[local] += losses[local + half];
            hits[local] += hits[local + half];
        }
        workgroupBarrier();
    }
    if local == 0u {
        let row = clock[1];
        history[2u * row] = losses[0];
        history[2u * row + 1u] = f32(hits[0]);
        clock[0] += 1u;
        clock[1] += 1u;
    }
}
