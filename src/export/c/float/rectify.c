/* Negative values times the slope. The output may be the input. */
static void rectify(const float *input, int count, float slope, float *output)
{
    for (int i = 0; i < count; i++) {
        output[i] = input[i] > 0.0f ? input[i] : input[i] * slope;
    }
}
