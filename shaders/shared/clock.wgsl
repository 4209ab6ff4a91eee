// The clock: step, cursor in the epoch, and seed.

/// Moves it on to the next step of the run and of the epoch.
fn advance_clock() {
    clock[0] += 1u;
    clock[1] += 1u;
}
