/* SPDX-License-Identifier: BSD-3-Clause */
/* calls.c - see calls.h */
#include "nodes/calls.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "mpi/bind.h"
#include "process/rank_variables.h"

struct mpi_calls mpi_call;

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
#define X(name, parameters) {"MPI_" #name, offsetof(struct mpi_calls, name)},
#include "nodes/calls.def"
#undef X
};

/* Writes the prefix below which this program is installed, where the MPI of a conda environment is,
 * too: "/p" for "/p/bin/python-mpi-bcast". */
static const char *calls_prefix(char out[FI_PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, FI_PATH_MAX - 1);

    if (n <= 0) {
        return NULL;
    }
    n = (ssize_t)path_parent_length(out, path_parent_length(out, (size_t)n));
    out[n] = '\0';
    return n > 1 ? out : NULL;
}

static int calls_bind(struct error *err)
{
    char prefix[FI_PATH_MAX];
    char why[512];
    const char *named = getenv("FASTIMPORT_MPI");

    if (!mpi_bind(named != NULL && named[0] != '\0' ? named : NULL, calls_prefix(prefix), why,
                  sizeof why)) {
        return error_set(
            err, NULL, "a launcher has started this job, but %s; load the module of its MPI", why);
    }
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *function = mpi_function(functions[i].name);

        if (function == NULL) {
            return error_set(err, NULL, "the MPI library has no %s (MPI-3 is needed)",
                             functions[i].name);
        }
        memcpy((char *)&mpi_call + functions[i].offset, &function, sizeof function);
    }
    return 0;
}

/* Started by the launcher of another MPI, each rank would take itself for the whole job, and all of
 * them would write into the same directory. */
static int calls_check_size(int expected, struct error *err)
{
    char version[256];
    int size;

    mpi_call.Comm_size(MPI_COMM_WORLD, &size);
    if (size > 1 || expected <= 1) {
        return 0;
    }
    mpi_version(version, sizeof version);
    return error_set(err, NULL,
                     "the launcher has started %d ranks, but %s knows of one only: the launcher "
                     "belongs to another MPI library; use this one's, or name the right library in "
                     "FASTIMPORT_MPI",
                     expected, version);
}

int calls_open(struct error *err)
{
    int expected = 0; /* not known */
    int provided;

    if (rank_variables_read(&expected) < 0) {
        mpi_call = calls_of_one_rank;
        mpi_is = (struct mpi_constants){.abi = "none", .comm_world = 1};
        return 0;
    }
    if (calls_bind(err) < 0) {
        return -1;
    }
    mpi_call.Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    if (calls_check_size(expected, err) < 0) {
        mpi_call.Finalize();
        return -1;
    }
    return 0;
}

void calls_close(void)
{
    mpi_call.Finalize();
}
