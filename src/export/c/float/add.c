/* The sum of two maps. The output may be one of them. */
static void add(const float *a, const float *b, int count, float *output)
{
    for (int i = 0; i < count; i++) {
        output[i] = a[i] + b[i];
    }
}
