/*
 * A model trained by gpu-digits {{version}}, in C99, computed with floats.
 *
{{origin}} *
 * void {{name}}_probabilities(const unsigned char *image, float *memory, float *probabilities);
 *
 *   image          {{bytes}} bytes, [row][column][channel]
 *   memory         {{total}} floats ({{total_bytes}} bytes) to work in, of any content
 *   probabilities  {{classes}} floats, one for each class
 *
 * The constants take {{constant_bytes}} bytes, and the call less than a KiB of stack. Several threads may call it at once,
 * each with its own memory.
 *
 *   cc -std=c99 -O2 -c {{name}}.c
 *   cc -std=c99 -O2 -D{{NAME}}_MAIN {{name}}.c -o {{name}} -lm && ./{{name}} < images
 */

#include <math.h>

#define {{NAME}}_MEMORY {{total}}

void {{name}}_probabilities(const unsigned char *image, float *memory, float *probabilities);

{{constants}}{{helpers}}void {{name}}_probabilities(const unsigned char *image, float *memory, float *probabilities)
{
{{lines}}}

{{main}}
