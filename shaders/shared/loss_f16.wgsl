// Gradients in 16 bits are those of the batch's summed loss, times loss_scale; those of parameters, in 32 bits, of its mean loss.

override loss_scale: f32;

/// What divides a gradient of the summed loss where it is stored with respect to the logits, and, having been multiplied by
/// loss_scale, with respect to a parameter.
override loss_divisor: f32 = 1.0 / loss_scale;
override parameter_divisor: f32 = loss_scale * f32(batch);
