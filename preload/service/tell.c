/* SPDX-License-Identifier: BSD-3-Clause */
/* tell.c - see tell.h */
#include "service/tell.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fs_view.h"
#include "base/sys.h"
#include "mpi/pmi_slot.h"
#include "report/report.h"

const char tell_nothing_of_ours[] =
    "nothing of this program is on a network file system (FASTIMPORT_FS=all takes any)";

static struct {
    const struct fi_config *config; /* NULL: no MPI_Init is waited for */
    pid_t pid;
    bool could_be_served;
    char shell[32];
} expected;

void tell_idle(const struct fi_config *config, bool speaks, enum log_level level,
               const char *format, ...)
{
    char why[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    fi_log(speaks ? level : level + 1, "%s", why); /* the others one level down */
    if (speaks &&
        !fs_view_is_other()) { /* the report has a name: not into another root directory */
        report_write_idle(config->report, why);
    }
}

void tell_expected(const struct fi_config *config, const char *shell, bool could_be_served)
{
    expected.pid = sys_getpid();
    expected.could_be_served = could_be_served;
    snprintf(expected.shell, sizeof expected.shell, "%s", shell);
    expected.config = config;
}

/* Where the slot is not free any more, another program of the script has had MPI, and has told of
 * itself. */
void tell_never_joined(bool has_joined)
{
    const struct fi_config *config = expected.config;

    if (config == NULL || expected.pid != sys_getpid() || has_joined) {
        return;
    }
    expected.config = NULL;
    if (!slot_claim()) {
        return;
    }
    if (expected.could_be_served) {
        tell_idle(config, true, LOG_WARN,
                  "this program has not called MPI_Init, so nothing of it was served: until then "
                  "the shell that started it (%s) may start other MPI programs here; with 'exec' "
                  "in the script, or FASTIMPORT_BELOW_SHELL=start, it is served from its start",
                  expected.shell);
    } else {
        tell_idle(config, true, LOG_INFO, "%s", tell_nothing_of_ours);
    }
}
