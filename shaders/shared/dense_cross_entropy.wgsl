// What follows a dense layer whose outputs are logits: softmax, cross-entropy, and the gradient.

override classes: u32 = outputs;

@group(0) @binding(3) var<storage, read> label: array<u32>;               // [batch]
@group(0) @binding(4) var<storage, read_write> probability: array<f32>;   // [batch, outputs]
@group(0) @binding(5) var<storage, read_write> logits_grad: array<Word>;  // [batch, outputs]
@group(0) @binding(6) var<storage, read_write> loss: array<f32>;          // [batch]
@group(0) @binding(7) var<storage, read_write> hit: array<u32>;           // [batch]
