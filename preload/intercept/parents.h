/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parents.h - stat and readlink for the directories above the roots.
 *
 * Python's realpath(3) calls lstat on "/", "/sw" and "/sw/env" for each file of /sw/env/x,
 * thousands of times in one start. These directories belong to others: they change while the job
 * runs, and may be on a different file system on each node. So they are not part of the snapshot.
 * Instead, each process remembers for one second what its kernel has said. It forgets that at once
 * when a process of this node that runs fastimport changes something outside the roots, or the name
 * of a root. What others change (on other nodes, or without fastimport) is seen one second later.
 *
 * Thread rules: any thread, also in signal handlers and forked children. errno is never touched.
 */
#ifndef FASTIMPORT_INTERCEPT_PARENTS_H
#define FASTIMPORT_INTERCEPT_PARENTS_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

enum { PARENTS_AGE_MS = 1000 };

/* True: *st is the answer, a success. False: make the real call. */
bool parents_stat(const char *path, bool follow, struct stat *st);
/* True: *result is the result of readlink(2), a success. False: make the real call. */
bool parents_readlink(const char *path, char *buf, size_t size, ssize_t *result);

#endif
