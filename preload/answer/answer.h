/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * answer.h - from an entry of the node cache to what the call returns: a struct stat, a descriptor,
 * a DIR, a path.
 *
 * Each function is given the record that resolve() found. Those that need the mirror can fail where
 * the cache's files are gone; they say so, and the caller makes the real call.
 */
#ifndef FASTIMPORT_ANSWER_ANSWER_H
#define FASTIMPORT_ANSWER_ANSWER_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "cache/node.h"

/* stat or lstat from a RECORD_STAT: 0 or an errno value. */
int answer_stat(const struct record *record, bool follow, struct stat *st);

/* readlink from a RECORD_STAT: the length, or -errno (EINVAL: no symlink). */
ssize_t answer_readlink(const struct record *record, char *buf, size_t size);

/* The mirror file's name for a RECORD_CONTENT; false if it is too long. */
bool answer_mirror(const struct node_cache *node, const struct record *record, char *name,
                   size_t size);

/* Makes what fstat says of a mirror file into what it would say of the original; leaves other files
 * alone. */
void answer_fstat(const struct node_cache *node, struct stat *st);
void answer_fstatx(const struct node_cache *node, struct statx *stx);

#endif
