/* Numbers of 8 bits as logits. */
static void widen(const int8_t *input, int zero, int count, int32_t multiplier, int shift, int32_t *logits)
{
    for (int i = 0; i < count; i++) {
        logits[i] = wide(scaled((int64_t)(input[i] - zero) * multiplier, shift));
    }
}
