/* The maximum of each window of so many rows and columns. */
static void max_pool(const int8_t *input, int channels, int height, int width, int rows, int columns, int8_t *output)
{
    for (int c = 0; c < channels; c++, input += height * width) {
        for (int y = 0; y + rows <= height; y += rows) {
            for (int x = 0; x + columns <= width; x += columns) {
                int8_t most = input[y * width + x];
                for (int i = 0; i < rows * columns; i++) {
                    int8_t value = input[(y + i / columns) * width + x + i % columns];
                    most = value > most ? value : most;
                }
                *output++ = most;
            }
        }
    }
}
