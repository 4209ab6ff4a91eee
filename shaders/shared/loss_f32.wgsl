// Gradients in 32 bits are those of the batch's mean loss.

/// What divides a gradient of the summed loss where it is stored with respect to the logits, and with respect to a parameter.
override loss_divisor: f32 = f32(batch);
override parameter_divisor: f32 = 1.0;
