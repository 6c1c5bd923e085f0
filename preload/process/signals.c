/* SPDX-License-Identifier: BSD-3-Clause */
/* signals.c - see signals.h */
#include "process/signals.h"

#include <stddef.h>

void signals_save(struct signals *s)
{
    for (int i = 1; i < NSIG; i++) {
        if (sigaction(i, NULL, &s->actions[i]) != 0) {
            s->actions[i].sa_handler = SIG_ERR; /* sigaction(2) refuses those that libc reserves */
        }
    }
}

void signals_restore(const struct signals *s)
{
    struct sigaction now;

    for (int i = 1; i < NSIG; i++) {
        const struct sigaction *before = &s->actions[i];

        if (before->sa_handler != SIG_ERR && sigaction(i, NULL, &now) == 0 &&
            now.sa_handler != before->sa_handler) {
            sigaction(i, before, NULL);
        }
    }
}
