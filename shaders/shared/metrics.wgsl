// Each batch's metrics are one row of the epoch's history. The clock has step, cursor in the epoch, seed and fault.

override batch: u32;
override rows: u32;

@group(0) @binding(0) var<storage, read> loss: array<f32>;           // [batch]
@group(0) @binding(1) var<storage, read> hit: array<u32>;            // [batch]
@group(0) @binding(2) var<storage, read_write> clock: array<u32>;    // [4]: step, cursor, seed, fault
@group(0) @binding(3) var<storage, read_write> history: array<f32>;  // [rows, 3]

struct Metrics {
    loss: f32,
    hits: u32,
}

/// Sums over every `distance`-th sample.
fn sums_over_samples(first: u32, distance: u32) -> Metrics {
    var sums = Metrics();
    for (var n = first; n < batch; n += distance) {
        sums.loss += loss[n];
        sums.hits += hit[n];
    }
    return sums;
}

fn append_to_history(sums: Metrics) {
    let row = clock[1];
    history[3u * row] = sums.loss;
    history[3u * row + 1u] = f32(sums.hits);
    history[3u * row + 2u] = f32(clock[3]);
}

/// Moves the clock on to the next step of the run and of the epoch.
fn advance_clock() {
    clock[0] += 1u;
    clock[1] += 1u;
}
