/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bind.h - finds the program's MPI library at run time.
 *
 * fastimport is not linked against MPI: a process should use one MPI library only, and the program
 * chooses which. A library is taken for MPI if it exports MPI_Init and MPI_Get_library_version;
 * vendors choose its file name. The order: the library that is mapped already; FASTIMPORT_MPI;
 * MPI4PY_LIBMPI (mpi4py's own variable); where Open MPI is expected (its launcher started the job, or
 * the environment has no other MPI) libmpi.so.40 below the interpreter's prefix, below OPAL_PREFIX,
 * and as ld.so finds it; else libmpi.so.12 below the prefix, and what ld.so finds as libmpi.so.12 or
 * libmpich.so.12. Libraries with the MPICH ABI, the standard ABI or Open MPI's are served (abi.h).
 * Open MPI's MPI_Init aborts where it fails, so it is bound only where a PMIx server has started
 * this process.
 *
 * Thread rules: mpi_bind() once, in the service thread, with the guard held (it calls dlopen). What
 * is said to come before it is called in the constructor or in the program's MPI_Init; the others
 * in any thread.
 */
#ifndef FASTIMPORT_MPI_BIND_H
#define FASTIMPORT_MPI_BIND_H

#include <stdbool.h>
#include <stddef.h>

#include "mpi/abi.h"

struct mpi_functions {
#define X(name, parameters) int(*name) parameters;
#include "mpi/functions.def"
    /* Either all functions of sessions.def, or Session_init is NULL and all functions of world.def
     * are there. */
#include "mpi/sessions.def"
#include "mpi/world.def"
#undef X
};

extern struct mpi_functions mpi;

/* prefix: the interpreter's, or NULL. explicit_name: the value of FASTIMPORT_MPI, or NULL. On
 * failure false, with half a sentence for the user in why. */
bool mpi_bind(const char *explicit_name, const char *prefix, char *why, size_t size);

/* Before mpi_bind(): sets a function that tells whether ld.so's search for a library by name would
 * surely find nothing (early/dlopen.h). Such a search is left out. */
void mpi_set_absence_check(bool (*is_absent)(const char *name));

/* Before mpi_bind(): the program is about to call this function. Of several MPI libraries that are
 * mapped, the one that has it is bound. */
void mpi_prefer(const void *function);

/* Has mpi_bind() succeeded? */
bool mpi_is_bound(void);

/* After mpi_bind(): a function of the bound library, for a program that needs others than those of
 * struct mpi_functions (python-mpi-bcast); NULL: it has none of this name. */
void *mpi_function(const char *name);

/* Is this function in the bound library? If not, it is a profiling library's, or another MPI's. */
bool mpi_owns(const void *function);

/* After mpi_bind(): does this function belong to an MPI of another kind (Open MPI, and not), which the
 * launcher of this job does not know? Writes the library's path. Calls dlopen, so the guard must be
 * held. */
bool mpi_is_of_another_kind(const void *function, char *out, size_t size);

/* After mpi_bind(): writes the first line of the library's version. */
void mpi_version(char *out, size_t size);

/* Can a thread be cancelled while it is in MPI? (pthread_cancel(3) aborts the process where
 * libgcc_s cannot be loaded.) */
bool mpi_is_cancellable(void);

/* Has this process an MPI library that is initialised (MPI_Init) and not finalised? Asks the first
 * one that is mapped. */
bool mpi_in_use(void);

#endif
