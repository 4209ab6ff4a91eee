/* Values below zero times a slope. The output may be the input. */
static void rectify(const int8_t *input, int zero, int count, int32_t multiplier, int shift, int8_t *output)
{
    for (int i = 0; i < count; i++) {
        int64_t below = (int64_t)(input[i] - zero) * multiplier;
        output[i] = input[i] < zero ? clamped(zero + scaled(below, shift)) : input[i];
    }
}
