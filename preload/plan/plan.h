/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan.h - the startup plan: what a program asked for when it ran before, and will probably ask for
 * again.
 *
 * A plan is a list of keys (kind, argument, path) without answers. At the start the root looks all
 * of them up again, many at once, so what is served is as fresh as without a plan. After the run,
 * keys that the program asked for are added; an entry that was not used for PLAN_MAX_AGE runs is
 * dropped. The plan is a text file (plan_file.h). If anything is wrong with it (another version,
 * made in another environment, a wrong checksum, another user's file), there is one warning, and
 * the start is a cold one.
 *
 * Calling order: plan_open(), plan_merge() once or twice, plan_save(), plan_close(). Thread rules:
 * the root's service thread.
 */
#ifndef FASTIMPORT_PLAN_PLAN_H
#define FASTIMPORT_PLAN_PLAN_H

#include "cache/node.h"
#include "plan/entries.h"
#include "process/config.h"

/* Two runs for which these are equal run the same program. */
struct plan_identity {
    int argc;
    char **argv;
    const char *roots; /* the policy's text */
};

/* Writes the directory of the plans that no setting names: $XDG_CACHE_HOME/fastimport, by the XDG base
 * directory specification, else ~/.cache/fastimport. It may not exist. False: neither variable is
 * set. */
bool plan_directory(char *out, size_t size);

/* Initialises *plan: finds the file's name (FASTIMPORT_PLAN), and reads the file if it is to be
 * used. */
void plan_open(struct plan *plan, const struct fi_config *config,
               const struct plan_identity *identity);

/* Adds what the program asked for, as the segment shows. complete: the segment has the marks
 * RECORD_USED of all nodes, so entries that are not marked grow older. May be called twice: first
 * incomplete, at last complete. */
void plan_merge(struct plan *plan, const struct segment *segment, bool complete);

/* Writes the file, if it is to be written, and warns if that fails, unless plan_open() has warned
 * about the file already. */
void plan_save(const struct plan *plan);

/* Frees what the plan owns. */
void plan_close(struct plan *plan);

#endif
