// Gradients in 32 bits are those of the batch's mean loss.

/// Divides the summed loss's gradient with respect to the logits, before it is stored.
override loss_divisor: f32 = f32(batch);
/// Divides the gradient with respect to a parameter, which is that of the mean loss already.
override parameter_divisor: f32 = 1.0;
