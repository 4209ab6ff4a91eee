// The gradient of cross-entropy with respect to the logits.

/// That of a class with a probability, in a sample with the label `own`; 0 where that is not a class.
fn logit_grad(share: f32, o: u32, own: u32) -> f32 {
    return select(0.0, (share - select(0.0, 1.0, o == own)) / loss_divisor, own < classes);
}
