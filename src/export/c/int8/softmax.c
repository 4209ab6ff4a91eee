/* Probabilities of logits in units of 1/65536. */
static void softmax(const int32_t *logits, int count, float *probabilities)
{
    int32_t most = logits[0];
    float sum = 0.0f;
    for (int i = 1; i < count; i++) {
        most = logits[i] > most ? logits[i] : most;
    }
    for (int i = 0; i < count; i++) {
        probabilities[i] = expf((float)((int64_t)logits[i] - most) / 65536.0f);
        sum += probabilities[i];
    }
    for (int i = 0; i < count; i++) {
        probabilities[i] /= sum;
    }
}
