/*
 * bind.h - the MPI library of this program, bound at run time.
 *
 * fastimport is not linked against MPI: a process must use one MPI library only, and that is the
 * program's choice. Order: the one that is already mapped; FASTIMPORT_MPI; the one below the
 * interpreter's prefix; what ld.so finds as libmpi.so.12 or libmpich.so.12. All are of the MPICH
 * ABI (www.mpich.org/abi), whose mpi.h this is compiled with. Where the program's MPI is or will be
 * of another ABI (Open MPI), nothing is bound.
 *
 * Thread rules: mpi_bind() once, in the service thread, with the guard held (it calls dlopen).
 */
#ifndef FASTIMPORT_MPI_BIND_H
#define FASTIMPORT_MPI_BIND_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>

struct mpi_functions {
#define X(name) __typeof__(&MPI_##name) name;
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

/* A function of the MPI library that is mapped, by name; NULL: there is none. */
void *mpi_function(const char *name);
/* Has mpi_bind() succeeded? */
bool mpi_is_bound(void);

/* The library's version, first line; after mpi_bind(). */
void mpi_version(char *out, size_t size);

/* Can a thread that is in MPI be cancelled? (pthread_cancel(3) aborts where it cannot load
 * libgcc_s.) */
bool mpi_is_cancellable(void);

/* Does this process have an MPI library that somebody has initialised with MPI_Init? */
bool mpi_in_use(void);

#endif
