/* SPDX-License-Identifier: BSD-3-Clause */
/* other.c - a static program, that no library can be preloaded into: prints its arguments and the
 * variable WORD. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *word = getenv("WORD");

    printf("other");
    for (int i = 1; i < argc; i++) {
        printf(" %s", argv[i]);
    }
    printf(" %s\n", word == NULL ? "" : word);
    return 0;
}
