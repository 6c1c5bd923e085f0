/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * init.h - MPI_Init and its like, where fastimport has to initialise MPI itself.
 *
 * An MPI library without usable Sessions (MPICH before 4, Cray MPICH 8, MVAPICH2, Intel MPI) works
 * only after MPI_Init, which may be called once. There fastimport's service calls MPI_Init_thread
 * before the program does, with MPI_THREAD_MULTIPLE, and the program's own calls (intercept/mpi.c)
 * are answered here, so that it sees what the standard promises: MPI_Initialized is false until it
 * has called MPI_Init; MPI_Init succeeds once, MPI_Init_thread provides MPI_THREAD_MULTIPLE; the
 * thread that called it is the main thread; MPI_Finalize ends fastimport's service, collective as
 * it is anyway, and then is the library's own. A program that never calls MPI_Init has MPI
 * finalised at its exit.
 *
 * With Sessions, and where fastimport does nothing, the calls go to the function that the caller
 * would have reached: that of a profiling library or of MPI. Two are looked at: MPI_Finalize ends
 * fastimport's service first, for MPICH puts off what belongs to MPI_Finalize (such as the delete
 * functions of MPI_COMM_SELF's attributes, by which HDF5 closes its files) while a session is open;
 * and MPI_Is_thread_main knows the thread that called MPI_Init, for MPICH takes the one that opened
 * the session. A program that calls another MPI library than the one that fastimport is bound to
 * reaches that one, and nothing of ours changes. How the calls come here, and which do not:
 * redirect.h.
 *
 * Thread rules: init_open() and init_close() in the service thread; the others anywhere. Results
 * are MPI error codes.
 */
#ifndef FASTIMPORT_MPI_INIT_H
#define FASTIMPORT_MPI_INIT_H

#include <stdbool.h>

#include "mpi/redirect.h"

/* Initialises MPI for fastimport; mpi_bind() was called. An error if the library cannot give
 * MPI_THREAD_MULTIPLE; MPI is initialised then, too, and the program is answered as above. */
int init_open(void);

/* Did init_open() initialise MPI in this process (or its parent)? */
bool init_is_ours(void);

/* Has the program itself called these? asked: MPI_Init is under way, at least. */
bool init_program_asked(void);
bool init_program_initialized(void);
bool init_program_finalized(void);

/* Finalises MPI, if the program has not begun to use it. */
int init_close(void);

/* `end` is called by the program's MPI_Finalize, before the library's: afterwards fastimport must
 * not use MPI. */
void init_at_finalize(void (*end)(void));

/* `join` is called once, by the program's MPI_Init before anything else: there a rank joins that
 * could not at its start. */
void init_join_late(void (*join)(void));
bool init_joins_late(void);

/* What the program calls. caller: an address in the object that calls. */
int init_init(enum redirected_call call, const void *caller, int *argc, char ***argv);
int init_init_thread(enum redirected_call call, const void *caller, int *argc, char ***argv,
                     int required, int *provided);
int init_initialized(enum redirected_call call, const void *caller, int *flag);
int init_finalized(enum redirected_call call, const void *caller, int *flag);
int init_is_thread_main(enum redirected_call call, const void *caller, int *flag);
int init_finalize(enum redirected_call call, const void *caller);

#endif
