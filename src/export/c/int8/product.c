/* A row of weights times the input. */
static int32_t product(const int8_t *input, int zero, int inputs, const int8_t *weight, int32_t bias)
{
    int32_t sum = bias;
    for (int i = 0; i < inputs; i++) {
        sum += weight[i] * (input[i] - zero);
    }
    return sum;
}
