/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * init.h - MPI_Init and its relatives, for MPI libraries in which fastimport has to initialise MPI
 * itself.
 *
 * An MPI library without usable Sessions (MPICH before 4, Cray MPICH 8, MVAPICH2, Intel MPI) works
 * only after MPI_Init, which may be called once. In such a library the service thread calls
 * MPI_Init_thread with MPI_THREAD_MULTIPLE before the program does. The program's own calls
 * (intercept/mpi.c) are answered here, so that it sees what the MPI standard promises:
 *
 * - MPI_Initialized is false until the program has called MPI_Init.
 * - MPI_Init succeeds once; MPI_Init_thread provides MPI_THREAD_MULTIPLE. The thread that called it
 *   is the main thread.
 * - MPI_Finalize first ends fastimport's service. It may wait for all ranks, as MPI_Finalize is
 *   collective anyway. Then the library's own is called.
 *
 * A program that never calls MPI_Init has MPI finalised at its exit.
 *
 * With Sessions, and where fastimport does nothing, each call goes to the function that the caller
 * would have reached: a profiling library's or MPI's. Two calls are still looked at. MPI_Finalize
 * ends fastimport's service first, because MPICH delays parts of MPI_Finalize while a session is
 * open (such as the delete functions of MPI_COMM_SELF's attributes, with which HDF5 closes its
 * files). MPI_Is_thread_main knows the thread that called MPI_Init, because MPICH answers for the
 * thread that opened the session.
 *
 * A program that calls another MPI library than the bound one reaches that library, and nothing
 * here changes. redirect.h says how calls come here, and which do not.
 *
 * Thread rules: init_open() and init_close() in the service thread; the others in any thread.
 * Results are MPI error codes.
 */
#ifndef FASTIMPORT_MPI_INIT_H
#define FASTIMPORT_MPI_INIT_H

#include <stdbool.h>

#include "mpi/redirect.h"

/* After mpi_bind(): initialises MPI for fastimport. An error if the library cannot provide
 * MPI_THREAD_MULTIPLE; MPI is initialised then, too, and the program's calls are answered as
 * above. */
int init_open(void);

/* Has init_open() initialised MPI, in this process or in the parent that forked it? */
bool init_is_ours(void);

/* Has the program itself called MPI_Init (asked: has it at least begun to), and MPI_Finalize? */
bool init_program_asked(void);
bool init_program_initialized(void);
bool init_program_finalized(void);

/* Finalises MPI, unless the program has called MPI_Init: then that is the program's job. */
int init_close(void);

/* Sets a function that the program's MPI_Finalize calls before the library's own. After it returns,
 * fastimport must not use MPI. */
void init_at_finalize(void (*end)(void));

/* Sets a function that is called where the program's MPI_Init is not the bound library's: it is another
 * MPI's, or a profiling library's. */
void init_at_foreign(void (*tell)(const void *function));

/* Sets a function that the program's MPI_Init calls once, before anything else: it joins a rank
 * that could not join at its start. */
void init_join_late(void (*join)(void));
bool init_joins_late(void);

/* What the program's calls are redirected to. caller: an address in the object that calls. */
int init_init(enum redirected_call call, const void *caller, int *argc, char ***argv);
int init_init_thread(enum redirected_call call, const void *caller, int *argc, char ***argv,
                     int required, int *provided);
int init_initialized(enum redirected_call call, const void *caller, int *flag);
int init_finalized(enum redirected_call call, const void *caller, int *flag);
int init_is_thread_main(enum redirected_call call, const void *caller, int *flag);
int init_finalize(enum redirected_call call, const void *caller);

#endif
