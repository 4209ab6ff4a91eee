/* The nearest number of 32 bits. */
static int32_t wide(int64_t value)
{
    return (int32_t)(value < -INT32_MAX ? -INT32_MAX : value > INT32_MAX ? INT32_MAX : value);
}
