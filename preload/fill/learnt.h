/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * learnt.h - which parts of libraries an earlier run of the program has touched, by the plan.
 *
 * A library is known by its inode, size and mtime, so what was learnt of it is void when it has been
 * edited. A wrong list costs page faults, never correctness (mapped.h).
 *
 * Calling order: learnt_add() by one thread, before others ask. Entries are never removed. Thread
 * rules: then any thread.
 */
#ifndef FASTIMPORT_FILL_LEARNT_H
#define FASTIMPORT_FILL_LEARNT_H

#include "cache/extents.h"

/* Keeps the pointer to the list. If the file is known already, nothing changes. */
void learnt_add(const struct file_version *file, struct extents touched);

/* Returns no extents if nothing is known of this version. */
struct extents learnt_find(const struct stat *st);

#endif
