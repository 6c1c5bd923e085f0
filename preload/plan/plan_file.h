/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan_file.h - the file of a plan: FORMAT.md beside this one.
 *
 * A plan decides what the root reads, so only one that the user or root has written is believed;
 * and nothing is waited for that is no regular file. For plan.c only.
 */
#ifndef FASTIMPORT_PLAN_PLAN_FILE_H
#define FASTIMPORT_PLAN_PLAN_FILE_H

#include "plan/entries.h"

enum { PLAN_FILE_BYTES = 64 << 20 };

/* Adds the file's entries. NULL; or what is wrong with it, and then some may have been added. A
 * file that is not ours to replace is not going to be: sets plan->save. */
const char *plan_file_read(struct plan *plan);

/* Replaces the file, mode 0600. 0 or -errno. */
int plan_file_write(const struct plan *plan);

#endif
