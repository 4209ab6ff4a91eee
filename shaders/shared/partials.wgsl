// Partial sums of gradients, read one at a time.

fn partials_at(i: u32) -> f32 {
    return grad_partial[i];
}
