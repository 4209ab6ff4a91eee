/* product / 2^shift, rounded to the nearest whole number, halves away from 0. */
static int64_t scaled(int64_t product, int shift)
{
    uint64_t half = (uint64_t)1 << shift >> 1;
    return product < 0 ? -(int64_t)((0 - (uint64_t)product + half) >> shift) : (int64_t)(((uint64_t)product + half) >> shift);
}
