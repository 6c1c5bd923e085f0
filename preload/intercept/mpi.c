/* SPDX-License-Identifier: BSD-3-Clause */
/* mpi.c - the functions that a rank's program reaches when it calls MPI_Init and its like: see
 * mpi/redirect.h and mpi/init.h. None of them is exported. */
#include "intercept/mpi.h"

#include "mpi/init.h"

/* The MPI_ and the PMPI_ name of each function. */
#define BOTH(CALL, function, parameters, ...)                                                      \
    static int own_##function parameters                                                           \
    {                                                                                              \
        return init_##function(REDIRECTED_##CALL, __builtin_return_address(0), __VA_ARGS__);       \
    }                                                                                              \
    static int own_p_##function parameters                                                         \
    {                                                                                              \
        return init_##function(REDIRECTED_PMPI_##CALL, __builtin_return_address(0), __VA_ARGS__);  \
    }

BOTH(INIT, init, (int *argc, char ***argv), argc, argv)
BOTH(INIT_THREAD, init_thread, (int *argc, char ***argv, int required, int *provided), argc, argv,
     required, provided)
BOTH(INITIALIZED, initialized, (int *flag), flag)
BOTH(FINALIZED, finalized, (int *flag), flag)
BOTH(IS_THREAD_MAIN, is_thread_main, (int *flag), flag)

static int own_finalize(void)
{
    return init_finalize(REDIRECTED_FINALIZE, __builtin_return_address(0));
}

static int own_p_finalize(void)
{
    return init_finalize(REDIRECTED_PMPI_FINALIZE, __builtin_return_address(0));
}

#define ROWS(CALL, name, function)                                                                 \
    [REDIRECTED_##CALL] = {"MPI_" name, (void *)own_##function},                                   \
    [REDIRECTED_PMPI_##CALL] = {"PMPI_" name, (void *)own_p_##function}

static const struct import calls[REDIRECTED_CALLS] = {
    ROWS(INIT, "Init", init),
    ROWS(INIT_THREAD, "Init_thread", init_thread),
    ROWS(INITIALIZED, "Initialized", initialized),
    ROWS(FINALIZED, "Finalized", finalized),
    ROWS(IS_THREAD_MAIN, "Is_thread_main", is_thread_main),
    ROWS(FINALIZE, "Finalize", finalize),
};

void mpi_calls_begin(void)
{
    redirect_begin(calls);
}
