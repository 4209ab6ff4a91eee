/* Weights are [output][input][row][column]; `before` zeros lie above and left of the map. */
static void convolution(const int8_t *input, int zero, int inputs, int height, int width, const int8_t *weight,
                        const int32_t *bias, const int32_t *multiplier, const unsigned char *shift, int kernel,
                        int stride, int before, int8_t *output, int output_zero, int outputs, int out_height,
                        int out_width)
{
    for (int o = 0; o < outputs; o++) {
        for (int y = 0; y < out_height; y++) {
            for (int x = 0; x < out_width; x++) {
                const int8_t *w = weight + o * inputs * kernel * kernel;
                int32_t sum = bias[o];
                for (int c = 0; c < inputs; c++) {
                    for (int ky = 0; ky < kernel; ky++) {
                        for (int kx = 0; kx < kernel; kx++, w++) {
                            int row = y * stride + ky - before;
                            int column = x * stride + kx - before;
                            if (row >= 0 && row < height && column >= 0 && column < width) {
                                sum += *w * (input[(c * height + row) * width + column] - zero);
                            }
                        }
                    }
                }
                *output++ = clamped(output_zero + scaled((int64_t)sum * multiplier[o], shift[o]));
            }
        }
    }
}
