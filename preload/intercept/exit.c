/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exit.c - the ways in which a rank may end. On each of them the service must be closed in order,
 * and needs the exit status.
 *
 * A handler of on_exit(3) gets the status. It must run before the destructors of the MPI library,
 * so it must be registered after them: handlers run last in, first out, and __libc_start_main
 * registers the one of ld.so, which runs the destructors. So a constructor would be too early, and
 * the handler is registered just before main is called.
 */
#include "intercept/real.h"

#include <stdlib.h>

#include "mpi/init.h"
#include "process/launcher_args.h"
#include "service/service.h"
#include "service/tell.h"

static int (*program_main)(int, char **, char **);

static void exit_leave(int status, void *unused)
{
    (void)unused;
    tell_never_joined(service_is_here());
    service_finish(status, false);
}

static int main_with_handler(int argc, char **argv, char **environment)
{
    on_exit(exit_leave, NULL);
    return program_main(argc, argv, environment);
}

static bool is_rank(void)
{
    return service_is_here() || init_joins_late();
}

FI_EXPORT int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv,
                                void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                                void *stack_end)
{
    program_main = main;
    launcher_args_apply(&argc, &argv);
    return real()->__libc_start_main(is_rank() ? main_with_handler : main, argc, argv, init, fini,
                                     rtld_fini, stack_end);
}

FI_EXPORT void _exit(int status)
{
    if (service_is_here()) {
        service_finish(status, true);
    } else if (init_joins_late()) {
        tell_never_joined(service_is_here());
    }
    real()->_exit(status);
    __builtin_unreachable();
}

FI_EXPORT void _Exit(int status)
{
    _exit(status);
}
