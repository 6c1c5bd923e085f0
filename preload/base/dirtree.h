/* SPDX-License-Identifier: BSD-3-Clause */
/* dirtree.h - walking and removing a directory tree of fastimport's own. Everything is reached
 * through descriptors (openat(2)) and no symlink is followed. */
#ifndef FASTIMPORT_BASE_DIRTREE_H
#define FASTIMPORT_BASE_DIRTREE_H

#include <stdbool.h>
#include <stddef.h>

/* Removes `name` in the directory `dirfd`: a file, a symlink or a whole tree. It goes on after an
 * error. Returns 0, or the first -errno. */
int dirtree_remove(int dirfd, const char *name);

/* Calls visit() for each name in the directory except "." and "..", until visit() returns false.
 * `type` is the d_type of getdents64(2). Returns 0 or -errno. */
int dirtree_each(int dirfd, bool (*visit)(void *context, const char *name, unsigned char type),
                 void *context);

#endif
