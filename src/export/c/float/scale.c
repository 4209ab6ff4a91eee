/* A factor and a shift for each channel. The output may be the input. */
static void scale(const float *input, int channels, int area, const float *factor, const float *shift, float *output)
{
    for (int c = 0; c < channels; c++) {
        for (int i = 0; i < area; i++) {
            *output++ = *input++ * factor[c] + shift[c];
        }
    }
}
