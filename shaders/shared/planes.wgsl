// Sizes of samples with planes of numbers, one for each channel.

override batch: u32;
override channels: u32;
override area: u32;
