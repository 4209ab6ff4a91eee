// Kernels in which an invocation has several rows, a step apart, so that what belongs to its channels is loaded once for them.

const ROWS = 8u;

override row_step: u32 = (rows + ROWS - 1u) / ROWS;
