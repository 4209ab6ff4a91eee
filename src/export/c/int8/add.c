/* The sum of two maps, each with its own unit. The output may be one of them. */
static void add(const int8_t *a, int a_zero, int32_t a_multiplier, const int8_t *b, int b_zero, int32_t b_multiplier,
                int shift, int count, int8_t *output, int output_zero)
{
    for (int i = 0; i < count; i++) {
        int64_t sum = (int64_t)(a[i] - a_zero) * a_multiplier + (int64_t)(b[i] - b_zero) * b_multiplier;
        output[i] = clamped(output_zero + scaled(sum, shift));
    }
}
