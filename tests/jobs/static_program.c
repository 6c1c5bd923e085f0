/* SPDX-License-Identifier: BSD-3-Clause */
/* static_program.c - a static program, into which no library can be preloaded. It prints its
 * arguments and the variable WORD. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *word = getenv("WORD");

    printf("new");
    for (int i = 1; i < argc; i++) {
        printf(" %s", argv[i]);
    }
    printf(" %s\n", word == NULL ? "" : word);
    return 0;
}
