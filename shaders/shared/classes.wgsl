// Sizes of softmax and cross-entropy.

override batch: u32;
override classes: u32;
