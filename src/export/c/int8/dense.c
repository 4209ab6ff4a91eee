/* Weights are [output][input]. */
static void dense(const int8_t *input, int zero, int inputs, const int8_t *weight, const int32_t *bias,
                  const int32_t *multiplier, const unsigned char *shift, int8_t *output, int output_zero, int outputs)
{
    for (int o = 0; o < outputs; o++) {
        int32_t sum = product(input, zero, inputs, weight + o * inputs, bias[o]);
        output[o] = clamped(output_zero + scaled((int64_t)sum * multiplier[o], shift[o]));
    }
}
