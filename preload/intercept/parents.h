/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parents.h - stat and readlink of the directories above the roots.
 *
 * realpath(3) of Python asks lstat of "/", "/sw" and "/sw/env" for each file of /sw/env/x:
 * thousands of times a start. These directories are other people's: they change while the job runs,
 * and are another file system on each node. So they are no part of the snapshot. A process keeps
 * what its own kernel said for a second, and asks again at once when a process of this node that
 * has the library has changed anything outside the roots, or a root's own name. What others change,
 * on other nodes or without the library, is seen a second later.
 *
 * Thread rules: any thread, also in signal handlers and forked children. errno is never touched.
 */
#ifndef FASTIMPORT_INTERCEPT_PARENTS_H
#define FASTIMPORT_INTERCEPT_PARENTS_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

enum { PARENTS_AGE_MS = 1000 };

/* True: *st is the answer, which is a success. */
bool parents_stat(const char *path, bool follow, struct stat *st);
/* True: *result is readlink(2)'s, which is a success. */
bool parents_readlink(const char *path, char *buf, size_t size, ssize_t *result);

#endif
