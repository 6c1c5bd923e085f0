/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * answer.h - turns a record of the node cache into what the call returns: a struct stat, the target
 * of a link, the file to open.
 *
 * The caller passes the record that resolve() found, which is a success (its `error` is 0).
 * Functions that need the mirror fail if the name is too long; the caller then makes the real call.
 * Errors are -errno.
 *
 * Thread rules: any thread, also in signal handlers and forked children. errno is never touched.
 */
#ifndef FASTIMPORT_ANSWER_ANSWER_H
#define FASTIMPORT_ANSWER_ANSWER_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "cache/node.h"

/* stat(2) or, without `follow`, lstat(2) from a RECORD_STAT. Returns 0 or -errno. */
int answer_stat(const struct record *record, bool follow, struct stat *st);

/* readlink(2) from a RECORD_STAT. Returns the length or -errno (-EINVAL: not a symlink). */
ssize_t answer_readlink(const struct record *record, char *buf, size_t size);

/* Writes the name of the mirror file of a RECORD_CONTENT. Returns false if it does not fit. */
bool answer_mirror(const struct node_cache *node, const struct record *record, char *name,
                   size_t size);

/* Corrects the result of fstat(2) or statx(2): if it describes a mirror file, it becomes that of
 * the original. Other results stay as they are. */
void answer_fstat(const struct node_cache *node, struct stat *st);
void answer_fstatx(const struct node_cache *node, struct statx *stx);

#endif
