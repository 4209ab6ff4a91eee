/* Weights are [output][input][row][column]; `before` zeros lie above and left of the map. */
static void convolution(const float *input, int inputs, int height, int width, const float *weight, const float *bias,
                        int kernel, int stride, int before, float *output, int outputs, int out_height, int out_width)
{
    for (int o = 0; o < outputs; o++) {
        for (int y = 0; y < out_height; y++) {
            for (int x = 0; x < out_width; x++) {
                const float *w = weight + o * inputs * kernel * kernel;
                float sum = bias[o];
                for (int c = 0; c < inputs; c++) {
                    for (int ky = 0; ky < kernel; ky++) {
                        for (int kx = 0; kx < kernel; kx++, w++) {
                            int row = y * stride + ky - before;
                            int column = x * stride + kx - before;
                            if (row >= 0 && row < height && column >= 0 && column < width) {
                                sum += *w * input[(c * height + row) * width + column];
                            }
                        }
                    }
                }
                *output++ = sum;
            }
        }
    }
}
