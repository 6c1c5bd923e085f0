/* SPDX-License-Identifier: BSD-3-Clause */
/* plain_program.c - a program without Python and MPI. It prints a word, and ends after argv[1]
 * milliseconds with exit code argv[2]. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    puts("plain");
    fflush(stdout);
    usleep((useconds_t)(argc > 1 ? atoi(argv[1]) : 0) * 1000);
    return argc > 2 ? atoi(argv[2]) : 0;
}
