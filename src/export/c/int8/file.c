/*
 * A model trained by gpu-digits {{version}}, in C99, computed with bytes: weights and values of 8 bits, sums of 32 bits, and no
 * floats up to the logits.
 *
{{origin}} *   accuracy:      {{accuracy}}
 *
 * void {{name}}_logits(const unsigned char *image, int8_t *memory, int32_t *logits);
 * void {{name}}_probabilities(const unsigned char *image, int8_t *memory, float *probabilities);
 *
 *   image          {{bytes}} bytes, [row][column][channel]
 *   memory         {{total}} bytes to work in, of any content
 *   logits         {{classes}} whole numbers, one for each class, in units of 1/65536; the largest is that of the class
 *   probabilities  {{classes}} floats, one for each class
 *
 * The constants take {{constant_bytes}} bytes, and a call less than a KiB of stack and the logits. Several threads may call them
 * at once, each with its own memory.
 *
 * A byte q of a value stands for (q - zero) * unit. The units are not here: a step's multiplier / 2^shift is the unit of its
 * sums over that of its output (Jacob et al., "Quantization and training of neural networks for efficient
 * integer-arithmetic-only inference", 2018).
 *
 *   cc -std=c99 -O2 -c {{name}}.c
 *   cc -std=c99 -O2 -D{{NAME}}_MAIN {{name}}.c -o {{name}} -lm && ./{{name}} < images
 */

#include <math.h>
#include <stdint.h>

#define {{NAME}}_MEMORY {{total}}

void {{name}}_logits(const unsigned char *image, int8_t *memory, int32_t *logits);
void {{name}}_probabilities(const unsigned char *image, int8_t *memory, float *probabilities);

{{constants}}{{helpers}}void {{name}}_logits(const unsigned char *image, int8_t *memory, int32_t *logits)
{
{{lines}}}

void {{name}}_probabilities(const unsigned char *image, int8_t *memory, float *probabilities)
{
    int32_t logits[{{classes}}];
    {{name}}_logits(image, memory, logits);
    softmax(logits, {{classes}}, probabilities);
}

{{main}}
