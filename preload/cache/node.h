/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * node.h - the node cache as a directory: it holds the index segment and the mirror of files.
 *
 *   <base>/fastimport-<uid>-<random>/     mode 0700
 *       lock      each rank that uses the cache holds a shared flock(2) on it
 *       index     the segment (segment.h)
 *       files/    the mirror tree (mirror.h)
 *       tmp/      files being written
 *
 * A directory whose lock nobody holds belongs to a job that has ended. node_sweep() removes such
 * directories, so that what a killed job leaves behind lives no longer than until the next start on
 * that node. Only directories of the same user with mode 0700 are ever attached or removed.
 *
 * Results are 0 or -errno. Thread rules: one thread sets a struct node_cache up; then any thread
 * may read it.
 */
#ifndef FASTIMPORT_CACHE_NODE_H
#define FASTIMPORT_CACHE_NODE_H

#include "cache/segment.h"

/* Room for the path of a file in the cache directory itself, with its NUL. */
enum { NODE_PATH_MAX = 512 };

struct node_cache {
    char directory[256];
    size_t directory_length;
    struct segment index;
    int lock;         /* entry of its descriptor (base/protected_fd.h); -1: none is held */
    bool may_execute; /* not mounted noexec, so libraries can be mapped from it */
};

/* Creates a cache below `base` for n_ranks ranks and holds its lock. On failure nothing is left
 * behind. */
int node_create(struct node_cache *node, const char *base, uint32_t n_ranks);

/* Attaches to an existing cache, after checking its owner, mode and nonce, and holds its lock. */
int node_attach(struct node_cache *node, const char *directory, uint64_t nonce);
/* Attaches without holding the lock: the cache may be removed when the last rank leaves, and misses
 * then go to the file system. For children of ranks, which then have nothing to release at their
 * end. (flock(2) could kill a child under a seccomp(2) filter that permits only the program's own
 * calls.) */
int node_visit(struct node_cache *node, const char *directory, uint64_t nonce);

/* Releases the lock, if it is held; the last process removes the directory. The segment stays
 * mapped, because other threads may be reading records. Do not call this in a forked child, which
 * shares its parent's lock. */
void node_leave(struct node_cache *node);

/* Removes caches below `base` that dead jobs of this user have left. Returns their number. */
int node_sweep(const char *base);

#endif
