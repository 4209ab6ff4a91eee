// Softmax, cross-entropy and the gradient of a sample by one invocation.

/// Finishes sample `n`; its logits are row `row`.
fn finish(n: u32, row: u32) {
    let softmax = softmax_of(row);
    let own = label[n];
    for (var o = 0u; o < outputs; o += FLOATS_PER_WORD) {
        let i = n * outputs + o;
        let share = share_of(softmax, row, o);
        probability[i] = share;
        var grads = vec4(logit_grad(share, o, own));
        if FLOATS_PER_WORD == 2u {
            let next = share_of(softmax, row, o + 1u);
            probability[i + 1u] = next;
            grads.y = logit_grad(next, o + 1u, own);
        }
        logits_grad[i / FLOATS_PER_WORD] = word_of(grads, 0u);
    }
    store_loss(softmax, row, n);
}
