// The end of a step: keeps the metrics of its batch in a row of the epoch's history and advances the clock.
//
//   history[cursor] = (sum over n of loss[n], sum over n of hit[n]);  step += 1;  cursor += 1
//
// One invocation in all. CPU twin: StepFinish in src/ops/batch.rs.

override batch: u32;
override rows: u32;

@group(0) @binding(0) var<storage, read> loss: array<f32>;           // [batch]
@group(0) @binding(1) var<storage, read> hit: array<u32>;            // [batch]
@group(0) @binding(2) var<storage, read_write> clock: array<u32>;    // [3]: step, cursor, seed
@group(0) @binding(3) var<storage, read_write> history: array<f32>;  // [rows, 2]

@compute @workgroup_size(1)
fn step_finish() {
    var loss_sum = 0.0;
    var hits = 0u;
    for (var n = 0u; n < batch; n++) {
        loss_sum += loss[n];
        hits += hit[n];
    }
    let row = clock[1];
    history[2u * row] = loss_sum;
    history[2u * row + 1u] = f32(hits);
    clock[0] += 1u;
    clock[1] += 1u;
}
