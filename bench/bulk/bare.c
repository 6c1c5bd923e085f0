/*
 * bare.c - the yardstick for the plan's bulk: a chunked MPI_Bcast of as many bytes between the
 * leaders of the same nodes.
 *
 *     bcast-bare BYTES CHUNK        one rank a node; rank 0 prints seconds and MB/s
 *
 * Nothing is read or written: what fastimport does on top (reading, storing on every node) is its
 * own cost.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double broadcast(char *buffer, long long bytes, int chunk)
{
    double start;

    MPI_Barrier(MPI_COMM_WORLD);
    start = MPI_Wtime();
    for (long long done = 0; done < bytes; done += chunk) {
        int n = bytes - done < chunk ? (int)(bytes - done) : chunk;

        MPI_Bcast(buffer, n, MPI_BYTE, 0, MPI_COMM_WORLD);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    return MPI_Wtime() - start;
}

int main(int argc, char **argv)
{
    long long bytes = argc > 1 ? strtoll(argv[1], NULL, 10) : 0;
    int chunk = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
    char *buffer = bytes > 0 && chunk > 0 ? malloc((size_t)chunk) : NULL;
    double seconds;
    int rank;

    if (buffer == NULL) {
        fprintf(stderr, "usage: bcast-bare BYTES CHUNK\n");
        return 2;
    }
    memset(buffer, 1, (size_t)chunk);
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    seconds = broadcast(buffer, bytes, chunk);
    if (rank == 0) {
        printf("%.6f %.1f\n", seconds, (double)bytes / seconds / 1e6);
    }
    MPI_Finalize();
    free(buffer);
    return 0;
}
