/* tell.c - see tell.h */
#include "service/tell.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "base/fs_view.h"
#include "mpi/bind.h"
#include "mpi/slot.h"
#include "report/report.h"
#include "service/internal.h"

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
    fi_log(speaks ? level : LOG_INFO, "%s", why);
    if (speaks && !fs_view_is_other()) { /* the report has a name: not into another root directory */
        report_write_idle(config->report, why);
    }
}

void tell_broken(const struct service *s, int error, const char *what)
{
    char why[256];

    snprintf(why, sizeof why, "%s%s failed (error %d): fastimport stops here, the program goes on",
             error > 0 ? "MPI " : "", what, error);
    if (s->phase == PHASE_JOINING) { /* everywhere, most likely */
        tell_idle(s->input.config, s->input.role.rank <= 0, LOG_WARN, "%s", why);
    } else {
        fi_log(LOG_WARN, "%s", why);
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
void tell_never_joined(void)
{
    const struct fi_config *config = expected.config;

    if (config == NULL || expected.pid != sys_getpid() || service_is_here()) {
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

/* The policy's text in one line, without the letters of the scopes. */
static void list_roots(const char *text, char *out, size_t size)
{
    size_t at = 0;

    out[0] = '\0';
    while (*text != '\0' && at < size) {
        int n = (int)strcspn(text, "\n");

        at += (size_t)snprintf(out + at, size - at, "%s%s%.*s", at == 0 ? "" : ", ",
                               *text == ROOT_EXCLUDE ? "not " : "", n - 1, text + 1);
        text += n + (text[n] != '\0');
    }
}

void tell_active(struct service *s)
{
    char library[256];
    char roots[700];
    char plan[64] = "no plan";

    if (log_threshold() < LOG_INFO) {
        return;
    }
    mpi_version(library, sizeof library);
    list_roots(s->hello.roots, roots, sizeof roots);
    if (s->plan.file[0] != '\0') {
        snprintf(plan, sizeof plan, "a plan of %zu entries", s->plan.n);
    }
    fi_log(LOG_INFO, "active: %d rank%s on %d node%s, %s, %s, serving %s", s->job.size,
           s->job.size == 1 ? "" : "s", s->job.n_nodes, s->job.n_nodes == 1 ? "" : "s", library,
           plan, roots);
}
