/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * redirect.h - makes the program's calls of MPI_Init and its relatives come to fastimport (init.h),
 * in ranks that use MPI, and in no other process.
 *
 * fastimport exports no function of MPI: programs ask whether MPI is in the process by a weak
 * symbol or by dlsym(RTLD_DEFAULT, "MPI_Initialized"), and do not load MPI if they find one.
 * Instead the import slots (GOT entries) of the objects that call these functions are changed
 * (ldso/imports.h): of all objects at the start, and of each new one after the program's dlopen.
 * What a slot held is kept for each object, so that a caller gets the MPI library that it would
 * have got, even if there are two.
 *
 * Not redirected: functions that a program gets from dlsym(3); a constructor that initialises MPI
 * inside a dlopen that ld.so makes without fastimport; until the next dlopen, a library that a
 * dlopen of a bare name finds by the caller's own RPATH or RUNPATH, where that is not served.
 *
 * Thread rules: redirect_begin() once, in the constructor; the others in any thread.
 */
#ifndef FASTIMPORT_MPI_REDIRECT_H
#define FASTIMPORT_MPI_REDIRECT_H

#include <stdbool.h>

#include "ldso/imports.h"

/* Both names of each call: Fortran's MPI_INIT and profiling libraries call PMPI_Init. */
enum redirected_call {
    REDIRECTED_INIT,
    REDIRECTED_PMPI_INIT,
    REDIRECTED_INIT_THREAD,
    REDIRECTED_PMPI_INIT_THREAD,
    REDIRECTED_INITIALIZED,
    REDIRECTED_PMPI_INITIALIZED,
    REDIRECTED_FINALIZED,
    REDIRECTED_PMPI_FINALIZED,
    REDIRECTED_IS_THREAD_MAIN,
    REDIRECTED_PMPI_IS_THREAD_MAIN,
    REDIRECTED_FINALIZE,
    REDIRECTED_PMPI_FINALIZE,
    REDIRECTED_CALLS
};

/* imports: one for each enum redirected_call, in its order; must live as long as the process. */
void redirect_begin(const struct import imports[REDIRECTED_CALLS]);

/* Was redirect_begin() called? */
bool redirect_is_begun(void);

/* To be called when new objects may have been loaded. Does nothing before redirect_begin(). errno
 * and dlerror(3) stay as they are. */
void redirect_update(void);

/* The function that the object would have called that has the address `caller` in it. NULL:
 * none. */
void *redirect_original(enum redirected_call call, const void *caller);

#endif
