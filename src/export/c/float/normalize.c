/* The bytes of an image, [row][column][channel], as normalised planes, [channel][row][column]. */
static void normalize(const unsigned char *image, int channels, int area, float scale, float shift, float *output)
{
    for (int c = 0; c < channels; c++) {
        for (int i = 0; i < area; i++) {
            *output++ = (float)image[i * channels + c] * scale + shift;
        }
    }
}
