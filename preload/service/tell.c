/* SPDX-License-Identifier: BSD-3-Clause */
/* tell.c - see tell.h */
#include "service/tell.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fs_view.h"
#include "base/sys.h"
#include "mpi/node_id.h"
#include "mpi/pmi_slot.h"
#include "report/report.h"

const char tell_no_roots[] =
    "nothing of this program is on a network file system (FASTIMPORT_FS=all takes any)";

static struct {
    const struct fi_config *config; /* NULL: this rank has not put its join off */
    pid_t pid;
    bool could_be_served;
    char shell[32];
} postponed;

void tell_idle(const struct fi_config *config, bool speaks, enum log_level level,
               const char *format, ...)
{
    char why[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    fi_log(speaks ? level : level + 1, "%s", why); /* ranks that do not speak use a lower level */
    if (speaks &&
        /* in another root directory the report's name is that of another file */
        !fs_view_has_changed()) {
        report_write_idle(config->report, why);
    }
}

void tell_postponed(const struct fi_config *config, const char *shell, bool could_be_served)
{
    postponed.pid = sys_getpid();
    postponed.could_be_served = could_be_served;
    snprintf(postponed.shell, sizeof postponed.shell, "%s", shell);
    postponed.config = config;
}

/* Has another program of the shell's script used MPI in this slot, and told what became of it? Then
 * the slot is taken. PMIx frees it again: there a report that is younger than the launcher says so. */
static bool another_has_told(const struct fi_config *config)
{
    struct stat st;

    if (!slot_claim()) {
        return true;
    }
    return launcher_pmix_server() != NULL && config->report != NULL &&
           sys_stat(config->report, &st) == 0 && S_ISREG(st.st_mode) &&
           st.st_mtim.tv_sec >= launcher_started();
}

void tell_never_joined(bool has_joined)
{
    const struct fi_config *config = postponed.config;

    if (config == NULL || postponed.pid != sys_getpid() || has_joined) {
        return;
    }
    postponed.config = NULL;
    if (another_has_told(config)) {
        return;
    }
    if (postponed.could_be_served) {
        tell_idle(config, true, LOG_WARN,
                  "this program has not called MPI_Init, so nothing of it was served: until then "
                  "the shell that started it (%s) may start other MPI programs here; with 'exec' "
                  "in the script, or FASTIMPORT_BELOW_SHELL=start, it is served from its start",
                  postponed.shell);
    } else {
        tell_idle(config, true, LOG_INFO, "%s", tell_no_roots);
    }
}
