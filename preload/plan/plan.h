/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan.h - the startup plan: what a program asked for when it ran before, and will ask for again.
 *
 * A plan is a list of keys (kind, argument, path), no answers: at start the root looks all of them
 * up again, many at once, so what is served is as fresh as in a cold run. After the run, what was
 * asked for is merged in; an entry that was not used for PLAN_MAX_AGE runs is dropped. Text file
 * (plan_file.h). Anything wrong with it (another version, another program's, a bad checksum,
 * another user's file) is one warning and a cold run.
 *
 * Thread rules: the root's service thread only.
 */
#ifndef FASTIMPORT_PLAN_PLAN_H
#define FASTIMPORT_PLAN_PLAN_H

#include "cache/node.h"
#include "plan/entries.h"
#include "process/config.h"

/* What makes two runs the same program. */
struct plan_identity {
    int argc;
    char **argv;
    const char *roots; /* the policy's text */
};

/* Finds out where the plan is (FASTIMPORT_PLAN), and reads it if it is to be used. */
void plan_open(struct plan *plan, const struct fi_config *config,
               const struct plan_identity *identity);

/* Takes in what was asked for, by what is in the segment. `complete`: the marks RECORD_USED of all
 * nodes have been collected, so entries that are not marked grow older. May be called twice: first
 * incomplete, at last complete. */
void plan_merge(struct plan *plan, const struct segment *segment, bool complete);

/* Writes the file, if it is to be written. One that was refused, and could not be replaced either,
 * is not complained of again. */
void plan_save(const struct plan *plan);

void plan_close(struct plan *plan);

#endif
