#ifdef {{NAME}}_MAIN

#include <stdio.h>

/* Reads images of {{bytes}} bytes from standard input, and prints the probabilities of each in a line. */
int main(void)
{
    static {{element}} memory[{{NAME}}_MEMORY];
    static unsigned char image[{{bytes}}];
    float probabilities[{{classes}}];
    while (fread(image, 1, sizeof image, stdin) == sizeof image) {
        {{name}}_probabilities(image, memory, probabilities);
        for (int i = 0; i < {{classes}}; i++) {
            printf(i == 0 ? "%.9g" : " %.9g", (double)probabilities[i]);
        }
        printf("\n");
    }
    return 0;
}

#endif
