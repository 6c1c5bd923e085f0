/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * startup.h - how long did the start of the program take? Until the index of the root's node cache
 * got the last new record before a time in which nothing new was asked for.
 *
 * Calling order: startup_begin(), startup_note() in each round of the serving loop. Times are
 * nanoseconds. Thread rules: the root's service thread.
 */
#ifndef FASTIMPORT_SERVICE_STARTUP_H
#define FASTIMPORT_SERVICE_STARTUP_H

#include <stdbool.h>
#include <stdint.h>

struct startup {
    int64_t began;
    int64_t last_new; /* when the index last got something new */
    uint64_t size;    /* of the index then */
    bool is_over;
};

void startup_begin(struct startup *startup);
/* size: of the used part of the index. */
void startup_note(struct startup *startup, uint64_t size);
/* So far. */
int64_t startup_ns(const struct startup *startup);

#endif
