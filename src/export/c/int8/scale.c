/* A weight and a bias for each channel. The output may be the input. */
static void scale(const int8_t *input, int zero, int channels, int area, const int8_t *weight, const int32_t *bias,
                  const int32_t *multiplier, const unsigned char *shift, int8_t *output, int output_zero)
{
    for (int c = 0; c < channels; c++) {
        for (int i = 0; i < area; i++) {
            int32_t sum = bias[c] + weight[c] * (*input++ - zero);
            *output++ = clamped(output_zero + scaled((int64_t)sum * multiplier[c], shift[c]));
        }
    }
}
