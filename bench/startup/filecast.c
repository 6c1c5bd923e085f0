/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * filecast.c - brings a file to every node, as Slurm's sbcast does: one rank of each node, blocks
 * of 8 MB from rank 0, no verification.
 *
 *     filecast FILE COPY
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK = 8 << 20 };

static void filecast_fail(const char *name)
{
    perror(name);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

static FILE *filecast_open(const char *name, const char *mode)
{
    FILE *f = fopen(name, mode);
    if (f == NULL) {
        filecast_fail(name);
    }
    return f;
}

int main(int argc, char **argv)
{
    int rank, n;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (argc != 3) {
        fprintf(stderr, "usage: filecast FILE COPY\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    FILE *from = rank == 0 ? filecast_open(argv[1], "r") : NULL;
    FILE *to = filecast_open(argv[2], "w");
    char *block = malloc(BLOCK);
    if (block == NULL) {
        filecast_fail("filecast");
    }
    do {
        n = rank == 0 ? (int)fread(block, 1, BLOCK, from) : 0;
        MPI_Bcast(&n, 1, MPI_INT, 0, MPI_COMM_WORLD);
        MPI_Bcast(block, n, MPI_BYTE, 0, MPI_COMM_WORLD);
        if (fwrite(block, 1, (size_t)n, to) != (size_t)n) {
            filecast_fail(argv[2]);
        }
    } while (n == BLOCK);
    if (fclose(to) != 0) {
        filecast_fail(argv[2]);
    }
    MPI_Finalize();
    free(block);
    return 0;
}
