// Gradients in 16 bits are those of the batch's summed loss, times loss_scale; those of parameters, in 32 bits, of its mean loss.

override loss_scale: f32;

/// Divides the summed loss's gradient with respect to the logits, before it is stored.
override loss_divisor: f32 = 1.0 / loss_scale;
/// Divides the gradient with respect to a parameter, which is loss_scale times that of the summed loss.
override parameter_divisor: f32 = loss_scale * f32(batch);
