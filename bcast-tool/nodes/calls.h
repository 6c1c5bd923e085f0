/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * calls.h - MPI as the tool calls it: mpi_call.Ibcast(...). It is not linked to an MPI library.
 *
 * Where a launcher has started this process, the functions are those of the MPI library that is
 * found at run time, as libfastimport.so finds it (preload/mpi/bind.h): one build serves each MPI.
 * Elsewhere they are those of a job of one rank, and no MPI library is needed.
 *
 * Calling order: calls_open(), the functions, calls_close(). One thread calls them. MPI ends the job
 * where one of its functions fails.
 */
#ifndef BCAST_NODES_CALLS_H
#define BCAST_NODES_CALLS_H

#include <stdbool.h>

#include "base/error.h"
#include "mpi/abi.h"

struct mpi_calls {
#define X(name, parameters) int(*name) parameters;
#include "nodes/calls.def"
#undef X
};

extern struct mpi_calls mpi_call;

/* The size of the longest name of a node in any library. */
enum { CALLS_NAME_MAX = 256 };

/* A status that nobody reads. The libraries' own constants for this differ. */
#define MPI_STATUS_IGNORE (&(MPI_Status){{0}})

/* Starts MPI. -1 and an error: no library is found, or the launcher is one of another MPI (each rank
 * would take itself for the only one). */
int calls_open(struct error *err);
void calls_close(void);

/* A job of one rank (calls_alone.c). */
extern const struct mpi_calls calls_of_one_rank;

#endif
