/* SPDX-License-Identifier: BSD-3-Clause */
/* dirtree.h - removal of a directory tree of ours, by descriptors, following no symlink. */
#ifndef FASTIMPORT_BASE_DIRTREE_H
#define FASTIMPORT_BASE_DIRTREE_H

#include <stdbool.h>
#include <stddef.h>

/* Removes `name` below the directory `dirfd`, whatever it is. 0 or the first -errno; goes on after
 * errors. */
int dirtree_remove(int dirfd, const char *name);

/* Calls visit() for each name in the directory (not "." and "..") until it returns false. 0 or
 * -errno. */
int dirtree_each(int dirfd, bool (*visit)(void *context, const char *name, unsigned char type),
                 void *context);

#endif
