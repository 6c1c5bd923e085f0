/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dirtree.h - lists directories and removes directory trees, by descriptors, so that no symlink is
 * ever followed.
 *
 * python-mpi-bcast uses it, too.
 */
#ifndef FASTIMPORT_BASE_DIRTREE_H
#define FASTIMPORT_BASE_DIRTREE_H

#include <stdbool.h>
#include <stddef.h>

enum { DIRTREE_NAME = 256 };

/* Removes `name` in the directory `dirfd`, whatever it is, and all that is below it. Directories of
 * this user may have any mode. Another file system that is mounted below `name` stays, with the
 * error -EXDEV. Goes on after errors. Returns 0 or the first -errno. */
int dirtree_remove(int dirfd, const char *name);

/* The same; after an error, `failed` holds the last component of what could not be removed first.
 * It has room for DIRTREE_NAME bytes. */
int dirtree_remove_telling(int dirfd, const char *name, char *failed);

/* Opens a directory of this user for emptying it, whatever its mode is. A descriptor or -errno. */
int dirtree_open(int dirfd, const char *name);

/* Calls visit() for each name in the directory (not "." and "..") until it returns false. 0 or
 * -errno. */
int dirtree_each(int dirfd, bool (*visit)(void *context, const char *name, unsigned char type),
                 void *context);

#endif
