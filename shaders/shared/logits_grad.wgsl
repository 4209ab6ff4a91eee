// The gradient of cross-entropy with respect to the logits.

/// The gradient for class `o`, from its probability `share` and the sample's label `own`; 0 where the label is no class.
fn logit_grad(share: f32, o: u32, own: u32) -> f32 {
    let wanted = label_smoothing / f32(classes) + select(0.0, 1.0 - label_smoothing, o == own);
    return select(0.0, (share - wanted) / loss_divisor, own < classes);
}
