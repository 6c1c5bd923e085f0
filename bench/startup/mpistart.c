/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpistart.c - a bare MPI start. Each rank writes three times to $STARTUP_STAMPS/RANK, as a Python
 * rank does (ranks/sitecustomize.py): when stamp executed it, when its main began, and when
 * MPI_Init had returned. Times are nanoseconds of CLOCK_REALTIME.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long long now_of(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (long long)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int write_stamps(const char *place, int rank, const char *executed, long long began)
{
    char path[4096];
    long long ready = now_of(CLOCK_REALTIME), cpu = now_of(CLOCK_PROCESS_CPUTIME_ID);
    long long own_cpu = now_of(CLOCK_THREAD_CPUTIME_ID);

    snprintf(path, sizeof path, "%s/%d", place, rank);
    FILE *f = fopen(path, "w");
    if (f == NULL) {
        perror(path);
        return 1;
    }
    fprintf(f,
            "{\"rank\": %d, \"exec\": %s, \"main\": %lld, \"imported\": %lld, \"cpu\": %lld, "
            "\"own_cpu\": %lld}\n",
            rank, executed, began, ready, cpu, own_cpu);
    return fclose(f) != 0;
}

int main(int argc, char **argv)
{
    long long began = now_of(CLOCK_REALTIME);
    const char *place = getenv("STARTUP_STAMPS"), *executed = getenv("STARTUP_EXEC_NS");
    int rank, failed = 0;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (place != NULL && executed != NULL) {
        failed = write_stamps(place, rank, executed, began);
    }
    MPI_Finalize();
    return failed;
}
