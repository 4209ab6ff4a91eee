/* The nearest number of 8 bits. */
static int8_t clamped(int64_t value)
{
    return (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
}
