// A map in blocks of the size of a window: the windows, and what is left over at the end of rows and columns. A kernel that
// writes whole blocks writes each element once.

override blocks_down: u32 = (height + window_height - 1u) / window_height;
override blocks_across: u32 = (width + window_width - 1u) / window_width;
