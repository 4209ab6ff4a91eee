/* Weights are [output][input]. */
static void dense(const float *input, int inputs, const float *weight, const float *bias, float *output, int outputs)
{
    for (int o = 0; o < outputs; o++) {
        float sum = bias[o];
        for (int i = 0; i < inputs; i++) {
            sum += weight[o * inputs + i] * input[i];
        }
        output[o] = sum;
    }
}
