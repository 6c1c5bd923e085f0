/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan_file.h - reads and writes the file of a plan. Its format: FORMAT.md beside this one.
 *
 * A plan decides what the root reads. So only a file that the user or root owns, and nobody else
 * may write to, is believed; and nothing is waited for that is not a regular file.
 *
 * Thread rules: the root's service thread.
 */
#ifndef FASTIMPORT_PLAN_PLAN_FILE_H
#define FASTIMPORT_PLAN_PLAN_FILE_H

#include "plan/entries.h"

enum { PLAN_FILE_BYTES = 64 << 20 };

/* Adds the file's entries to the plan, whose key must be the file's; a key of 0 becomes the
 * file's, whatever that is. NULL, or what is wrong with the file, as the rest of a
 * sentence; some entries may have been added then. Clears plan->save if the file is not the user's
 * to replace. */
const char *plan_file_read(struct plan *plan);

/* Replaces the file (mode 0600). 0 or -errno. */
int plan_file_write(const struct plan *plan);

#endif
