// Maps whose channels come last. An invocation has NUMBERS neighbouring channels, a group.

override batch: u32;
override channels: u32;  // a multiple of NUMBERS

override channel_groups: u32 = channels / NUMBERS;
