// The schedule of the run: for each step the learning rate and Adam's two corrections of bias.

override steps: u32;

/// The place of the step's row. Beyond the last row: the place of the last one.
fn schedule_row() -> u32 {
    return 3u * min(atomicLoad(&clock[0]), steps - 1u);
}
