/* The mean of each window of so many rows and columns. */
static void average_pool(const int8_t *input, int zero, int channels, int height, int width, int rows, int columns,
                         int32_t multiplier, int shift, int8_t *output, int output_zero)
{
    for (int c = 0; c < channels; c++, input += height * width) {
        for (int y = 0; y + rows <= height; y += rows) {
            for (int x = 0; x + columns <= width; x += columns) {
                int32_t sum = 0;
                for (int i = 0; i < rows * columns; i++) {
                    sum += input[(y + i / columns) * width + x + i % columns] - zero;
                }
                *output++ = clamped(output_zero + scaled((int64_t)sum * multiplier, shift));
            }
        }
    }
}
