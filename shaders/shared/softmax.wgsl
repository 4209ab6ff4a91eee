// Softmax and cross-entropy of a sample, by the log-sum-exp of its logits less their maximum.
// Needs from the kernel: logit_at(row, o).

/// The share of the target that all classes have alike.
override label_smoothing: f32;

struct Softmax {
    /// The first of the largest logits.
    best: u32,
    /// Its value.
    most: f32,
    /// The sum of exp(logit - most) over all logits.
    sum: f32,
    /// The sum of most - logit over all logits.
    below: f32,
}

fn softmax_of(row: u32) -> Softmax {
    var best = 0u;
    for (var o = 1u; o < classes; o++) {
        if logit_at(row, o) > logit_at(row, best) { best = o; }
    }
    let most = logit_at(row, best);
    var sum = 0.0;
    var below = 0.0;
    for (var o = 0u; o < classes; o++) {
        let logit = logit_at(row, o) - most;
        sum += exp(logit);
        below -= logit;
    }
    return Softmax(best, most, sum, below);
}

/// The probability of a class.
fn share_of(softmax: Softmax, row: u32, o: u32) -> f32 {
    return exp(logit_at(row, o) - softmax.most) / softmax.sum;
}

/// Stores loss and hit of sample `n`, both 0 where its label is not a class.
fn store_loss(softmax: Softmax, row: u32, n: u32) {
    let own = label[n];
    let own_below = softmax.most - logit_at(row, min(own, classes - 1u));
    let smoothed = (1.0 - label_smoothing) * own_below + label_smoothing / f32(classes) * softmax.below;
    let lost = smoothed + log(softmax.sum);
    loss[n] = select(0.0, lost, own < classes);
    hit[n] = select(0u, 1u, own == softmax.best);
}
