/* SPDX-License-Identifier: BSD-3-Clause */
/* late_join.c - see late_join.h */
#include "service/late_join.h"

#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "mpi/init.h"
#include "mpi/launcher_shell.h"
#include "policy/roots.h"
#include "service/tell.h"

/* Children of a rank that warns find this in the environment, and do not warn again. */
static const char warned_variable[] = "FASTIMPORT_WARNED";

static struct {
    struct service_input input;
    bool (*join)(const struct service_input *input);
    char shell[32];
    bool warns; /* this process warns the user */
} late;

static void late_join_now(void)
{
    fi_enter();
    if (late.join(&late.input)) {
        fi_log(late.warns ? LOG_WARN : LOG_INFO,
               "this program is served from its MPI_Init on only: the shell that started it (%s) "
               "may start other MPI programs here; with 'exec' in the script, or "
               "FASTIMPORT_BELOW_SHELL=start, it is served from its start",
               late.shell);
    }
    fi_leave();
}

/* False: no memory. */
static bool copy_input(const struct service_input *in)
{
    static char directory[FI_PATH_MAX];
    char **argv = calloc((size_t)in->argc + 1, sizeof *argv);

    for (int i = 0; argv != NULL && i < in->argc; i++) {
        argv[i] = strdup(in->argv[i]);
        if (argv[i] == NULL) {
            return false; // NOLINT(clang-analyzer-unix.Malloc): little, once, and nothing is left
        }
    }
    late.input = *in;
    late.input.argv = argv;
    late.input.directory = sys_getcwd(directory, sizeof directory) > 0 ? directory : NULL;
    return argv != NULL;
}

static bool could_be_served(const struct service_input *in)
{
    struct roots_input roots = {in->config, in->argc, in->argv, in->role.is_python, false};
    char text[POLICY_TEXT];

    return roots_compute(&roots, text, sizeof text) > 0;
}

bool late_join_is_needed(const struct fi_config *config)
{
    return config->join == FI_AT_INIT && launcher_shell_above(late.shell, sizeof late.shell);
}

void late_join_prepare(const struct service_input *in,
                       bool (*join)(const struct service_input *input))
{
    bool may_warn = in->role.rank == 0 && getenv(warned_variable) == NULL;

    late.warns = may_warn && could_be_served(in) && setenv(warned_variable, "1", 1) == 0;
    late.join = join;
    if (copy_input(in)) {
        init_join_late(late_join_now);
        if (may_warn) {
            tell_postponed(in->config, late.shell, late.warns);
        }
    }
}
