/* SPDX-License-Identifier: BSD-3-Clause */
/* tree.h - work inside one directory tree that never leaves it. Each component of a path is opened
 * from the one above it with O_NOFOLLOW, so that no link leads out of the tree, whoever made it.
 * Paths are in normal form (archive/name.h) and relative to the tree. One thread may use a tree;
 * any thread may call tree_dir_put(). */
#ifndef BCAST_TREE_TREE_H
#define BCAST_TREE_TREE_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "base/error.h"

/* An open directory, shared by all who still have to create something in it. */
struct tree_dir;
int tree_dir_fd(const struct tree_dir *d);
struct tree_dir *tree_dir_get(struct tree_dir *d);
void tree_dir_put(struct tree_dir *d); /* any thread; the last user closes it */

struct tree; /* opaque */

/* `fd` is the top of the tree and stays the caller's. */
struct tree *tree_new(int fd);
void tree_free(struct tree *t); /* NULL is allowed */

/* Returns the directory that holds `path`, valid until the next call, and in `*name` the last
 * component of `path`. With `make` it creates missing directories with mode 0755. NULL with `err`
 * set if a component is missing or is not a directory. */
struct tree_dir *tree_parent(struct tree *t, const char *path, const char **name, bool make,
                             struct error *err);

/* Creates the directory `path`, or accepts the one that is there. */
int tree_mkdir(struct tree *t, const char *path, struct error *err);

/* Closes the directories that it keeps open. Call it after something was removed or renamed. */
void tree_forget(struct tree *t);

/* Removes `name` in `dir` and all that is below it, whatever the modes of directories are. It does
 * not enter other file systems. What is not there is no error. */
int tree_remove(int dir, const char *name, struct error *err);

#endif
