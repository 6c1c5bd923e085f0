/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bare.c - bcast-bare, what the bulk of a plan is compared with: a chunked MPI_Bcast of as many
 * bytes between one rank on each of the same nodes.
 *
 *     bcast-bare BYTES CHUNK [DIRECTORY]     rank 0 prints the seconds from barrier to barrier
 *
 * Without a directory, no rank reads or writes a file. With a directory, each rank writes what it
 * receives to a temporary file there, as any program must that leaves a copy on every node.
 */
#include <fcntl.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_chunk(int file, const char *buffer, int size)
{
    for (int done = 0; file >= 0 && done < size;) {
        ssize_t n = write(file, buffer + done, (size_t)(size - done));

        if (n <= 0) {
            perror("bcast-bare: write");
            MPI_Abort(MPI_COMM_WORLD, 1);
        }
        done += (int)n;
    }
}

static double timed_broadcast(char *buffer, long long bytes, int chunk, int file)
{
    double start;

    MPI_Barrier(MPI_COMM_WORLD);
    start = MPI_Wtime();
    for (long long done = 0; done < bytes; done += chunk) {
        int n = bytes - done < chunk ? (int)(bytes - done) : chunk;

        MPI_Bcast(buffer, n, MPI_BYTE, 0, MPI_COMM_WORLD);
        write_chunk(file, buffer, n);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    return MPI_Wtime() - start;
}

static int open_temporary(const char *directory)
{
    char name[4096];
    int file;

    snprintf(name, sizeof name, "%s/bcast-bare.XXXXXX", directory);
    file = mkstemp(name);
    if (file < 0) {
        perror(name);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    unlink(name);
    return file;
}

int main(int argc, char **argv)
{
    long long bytes = argc > 1 ? strtoll(argv[1], NULL, 10) : 0;
    int chunk = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
    char *buffer = bytes > 0 && chunk > 0 ? malloc((size_t)chunk) : NULL;
    double seconds;
    int rank;

    if (buffer == NULL) {
        fprintf(stderr, "usage: bcast-bare BYTES CHUNK [DIRECTORY]\n");
        return 2;
    }
    memset(buffer, 1, (size_t)chunk);
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    seconds = timed_broadcast(buffer, bytes, chunk, argc > 3 ? open_temporary(argv[3]) : -1);
    if (rank == 0) {
        printf("%.6f\n", seconds);
    }
    MPI_Finalize();
    free(buffer);
    return 0;
}
