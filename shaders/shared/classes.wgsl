// Sizes of softmax and cross-entropy.

override batch: u32;
override classes: u32;

/// The same by the name that a dense layer's outputs have.
override outputs: u32 = classes;
