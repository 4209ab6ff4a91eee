/* Probabilities of logits. */
static void softmax(const float *logits, int count, float *probabilities)
{
    float most = logits[0], sum = 0.0f;
    for (int i = 1; i < count; i++) {
        most = logits[i] > most ? logits[i] : most;
    }
    for (int i = 0; i < count; i++) {
        probabilities[i] = expf(logits[i] - most);
        sum += probabilities[i];
    }
    for (int i = 0; i < count; i++) {
        probabilities[i] /= sum;
    }
}
