/* The mean of each window of so many rows and columns. */
static void average_pool(const float *input, int channels, int height, int width, int rows, int columns, float *output)
{
    for (int c = 0; c < channels; c++, input += height * width) {
        for (int y = 0; y + rows <= height; y += rows) {
            for (int x = 0; x + columns <= width; x += columns) {
                float sum = 0.0f;
                for (int i = 0; i < rows * columns; i++) {
                    sum += input[(y + i / columns) * width + x + i % columns];
                }
                *output++ = sum / (float)(rows * columns);
            }
        }
    }
}
