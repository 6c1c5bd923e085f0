/* Work inside one directory tree that never leaves it: every component is opened with O_NOFOLLOW
 * from the one above, so that no link, whoever made it, leads out. Paths are normal (name.h) and
 * relative to the tree. One thread, apart from tree_dir_put. */
#ifndef BCAST_TREE_TREE_H
#define BCAST_TREE_TREE_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "base/error.h"

/* An open directory, shared by those who still have to create something in it. */
struct tree_dir;
int tree_dir_fd(const struct tree_dir *d);
struct tree_dir *tree_dir_get(struct tree_dir *d);
void tree_dir_put(struct tree_dir *d); /* any thread; the last one closes it */

struct tree; /* opaque */

/* `fd` is the tree's top and stays the caller's. */
struct tree *tree_new(int fd);
void tree_free(struct tree *t); /* NULL is allowed */

/* The directory that holds `path`, borrowed until the next call, and in `*name` the last component
 * within `path`. With `make`, missing directories are made (mode 0755).
 * NULL with `err` set if a component is missing or is no directory. */
struct tree_dir *tree_parent(struct tree *t, const char *path, const char **name, bool make,
                             struct error *err);

/* Makes directory `path` or accepts the one that is there. */
int tree_mkdir(struct tree *t, const char *path, struct error *err);

/* Forgets the open directories, after something was removed or renamed. */
void tree_forget(struct tree *t);

/* Removes `name` in `dir` and everything below it, whatever the directories' modes; a missing one
 * is fine. Does not cross into other file systems. */
int tree_remove(int dir, const char *name, struct error *err);

#endif
