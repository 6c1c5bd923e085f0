/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * state_lines.c - the messages about the service's state: that it serves, or that it has failed;
 * see internal.h.
 */
#include <stdio.h>
#include <string.h>

#include "base/guard.h"
#include "base/log.h"
#include "base/version.h"
#include "mpi/bind.h"
#include "service/internal.h"
#include "service/tell.h"

void tell_broken(const struct service *s, int error, const char *what)
{
    char why[256];

    snprintf(why, sizeof why, "%s failed (%serror %d): fastimport stops here, the program goes on",
             what, error > 0 ? "MPI " : "", error);
    if (s->phase == PHASE_JOINING) { /* most likely all ranks fail: rank 0 tells it */
        tell_idle(s->input.config, s->input.role.rank <= 0, LOG_WARN, "%s", why);
    } else {
        fi_log(LOG_WARN, "%s", why);
    }
}

/* Writes the policy's text as one line, without the letters of the scopes. */
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
    fi_log(LOG_INFO, "active: version %s, %d rank%s on %d node%s, %s, %s, serving %s",
           version_number(), s->job.size, s->job.size == 1 ? "" : "s", s->job.n_nodes,
           s->job.n_nodes == 1 ? "" : "s", library, plan, roots);
}

/* In the program's thread. Each rank of such a job takes itself for the only one. */
void tell_foreign(const void *function)
{
    const struct service *s = &the_service;
    char library[FI_PATH_MAX];
    char version[256];

    if (s->job.size < 2 || s->job.rank != 0) {
        return;
    }
    fi_enter();
    if (mpi_is_of_another_kind(function, library, sizeof library)) {
        mpi_version(version, sizeof version);
        fi_log_once(
            LOG_WARN,
            "the program uses another MPI library (%.300s) than the job's launcher (%s), so "
            "each rank takes itself for the only one: start it with that MPI's own "
            "launcher, or use an mpi4py for the launcher's MPI",
            library, version);
    }
    fi_leave();
}
