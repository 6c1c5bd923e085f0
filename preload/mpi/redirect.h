/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * redirect.h - the program's calls of MPI_Init and its like lead to fastimport (init.h), in ranks
 * that use MPI themselves, and nowhere else.
 *
 * fastimport exports no function of MPI: programs ask whether MPI is in the process by a weak
 * symbol or by dlsym(RTLD_DEFAULT, "MPI_Initialized"), and skip loading it where they find one.
 * Instead the import slots of the objects that call these functions are redirected
 * (base/imports.h): those of all objects at the start, and of each new one after the program's
 * dlopen. What the slots held is remembered for each object: a caller gets the MPI library that it
 * would have got, also where there are two.
 *
 * Not seen: functions that a program takes from dlsym(3); a constructor that initialises MPI inside
 * a dlopen that ld.so makes alone; a library that a bare name brings in from the caller's own
 * RPATH or RUNPATH, where that is not served, until the next dlopen.
 *
 * Thread rules: redirect_begin() once, in the constructor; the others in any thread.
 */
#ifndef FASTIMPORT_MPI_REDIRECT_H
#define FASTIMPORT_MPI_REDIRECT_H

#include <stdbool.h>

#include "ldso/imports.h"

/* Both names of each: Fortran's MPI_INIT and profiling libraries call PMPI_Init. */
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

/* imports: a row for each enum redirected_call; they must live as long as the process. */
void redirect_begin(const struct import imports[REDIRECTED_CALLS]);

bool redirect_is_begun(void);

/* New objects may have been loaded. Does nothing before redirect_begin(). errno and dlerror(3) stay
 * as they are. */
void redirect_update(void);

/* The function that the object with the address `caller` in it would have called. NULL: there is
 * none. */
void *redirect_original(enum redirected_call call, const void *caller);

#endif
