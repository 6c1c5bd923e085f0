/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bind.h - the MPI library of this program, bound at run time.
 *
 * fastimport is not linked against MPI: a process should use one MPI library only, and which one
 * is the program's choice. An MPI library is known by what it exports (MPI_Init and
 * MPI_Get_library_version), not by its file's name, which vendors choose. Order: the one that is
 * mapped already; FASTIMPORT_MPI; MPI4PY_LIBMPI, by which mpi4py is told; the one below the
 * interpreter's prefix; what ld.so finds as libmpi.so.12 or libmpich.so.12. Served are the MPICH
 * ABI and the standard ABI (abi.h). Where the program's MPI is or will be Open MPI, nothing is
 * bound.
 *
 * Thread rules: mpi_bind() once, in the service thread, with the guard held (it calls dlopen).
 */
#ifndef FASTIMPORT_MPI_BIND_H
#define FASTIMPORT_MPI_BIND_H

#include <stdbool.h>
#include <stddef.h>

#include "mpi/abi.h"

struct mpi_functions {
#define X(name, parameters) int(*name) parameters;
#include "mpi/functions.def"
    /* All of these, or NULL where there are no Sessions; then those of world.def are there. */
#include "mpi/sessions.def"
#include "mpi/world.def"
#undef X
};

extern struct mpi_functions mpi;

/* prefix: the interpreter's, or NULL. explicit_name: FASTIMPORT_MPI, or NULL. On failure false,
 * with a sentence in why. */
bool mpi_bind(const char *explicit_name, const char *prefix, char *why, size_t size);

/* Before mpi_bind(): a function that says whether ld.so's search for a bare name would surely find
 * nothing (early/dlopen.h): then it is not searched for. */
void mpi_ask_before_searching(bool (*is_nowhere)(const char *name));

/* Before mpi_bind(): the program is about to call this function. If an MPI library has it, that one
 * is bound, of several that are mapped. */
void mpi_prefer(const void *function);

/* Has mpi_bind() succeeded? */
bool mpi_is_bound(void);

/* Is this function one of the bound library's own? (Else it is a profiling library's, or another
 * MPI's.) */
bool mpi_owns(const void *function);

/* The library's version, first line; after mpi_bind(). */
void mpi_version(char *out, size_t size);

/* Can a thread that is in MPI be cancelled? (pthread_cancel(3) aborts where it cannot load
 * libgcc_s.) */
bool mpi_is_cancellable(void);

/* Does this process have an MPI library that is initialised (MPI_Init) and not finalised? Asks the
 * first one that is mapped. */
bool mpi_in_use(void);

#endif
