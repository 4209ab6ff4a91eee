/* The same with results of 32 bits. */
static void dense_logits(const int8_t *input, int zero, int inputs, const int8_t *weight, const int32_t *bias,
                         const int32_t *multiplier, const unsigned char *shift, int32_t *logits, int outputs)
{
    for (int o = 0; o < outputs; o++) {
        int32_t sum = product(input, zero, inputs, weight + o * inputs, bias[o]);
        logits[o] = wide(scaled((int64_t)sum * multiplier[o], shift[o]));
    }
}
