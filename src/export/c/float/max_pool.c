/* The maximum of each window of so many rows and columns. */
static void max_pool(const float *input, int channels, int height, int width, int rows, int columns, float *output)
{
    for (int c = 0; c < channels; c++, input += height * width) {
        for (int y = 0; y + rows <= height; y += rows) {
            for (int x = 0; x + columns <= width; x += columns) {
                float most = input[y * width + x];
                for (int i = 0; i < rows * columns; i++) {
                    float value = input[(y + i / columns) * width + x + i % columns];
                    most = value > most ? value : most;
                }
                *output++ = most;
            }
        }
    }
}
