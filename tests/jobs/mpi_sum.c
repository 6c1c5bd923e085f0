/* SPDX-License-Identifier: BSD-3-Clause */
/* mpi_sum.c - an MPI program without Python. It adds up the ranks, or calls MPI_Abort with argv[1].
 * It takes options out of argv before MPI sees them, as some libraries do with theirs. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    int rank, sum, provided;

    while (argc > 1 && argv[argc - 1][0] == '-') {
        argv[--argc] = NULL;
    }
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    if (argc > 1) {
        MPI_Abort(MPI_COMM_WORLD, atoi(argv[1]));
    }
    printf("sum %d\n", sum);
    fflush(stdout);
    MPI_Finalize();
    return 0;
}
