/* The bytes of an image, [row][column][channel], as planes, [channel][row][column], of numbers from -128. */
static void take_in(const unsigned char *image, int channels, int area, int8_t *output)
{
    for (int c = 0; c < channels; c++) {
        for (int i = 0; i < area; i++) {
            *output++ = (int8_t)(image[i * channels + c] - 128);
        }
    }
}
