/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * node.h - the node cache as a place: a private directory with the index segment and the mirror of
 * files.
 *
 *   <base>/fastimport-<uid>-<random>/     mode 0700
 *       lock      each rank that uses the cache holds a shared flock(2) on it
 *       index     the segment (segment.h)
 *       files/    the mirror tree (mirror.h)
 *       tmp/      files being written
 *
 * A directory whose lock nobody holds belongs to a job that is gone; node_sweep() removes such
 * directories, so what SIGKILL leaves behind lives no longer than the next start on that node. Only
 * directories of our own user with mode 0700 are ever attached or removed.
 */
#ifndef FASTIMPORT_CACHE_NODE_H
#define FASTIMPORT_CACHE_NODE_H

#include "cache/segment.h"

struct node_cache {
    char directory[256];
    size_t directory_length;
    struct segment index;
    int lock;         /* the entry of its descriptor (base/held.h); -1: this process is a guest */
    bool may_execute; /* the file system is not mounted noexec: libraries can be mapped from it */
};

/* Creates a cache for n_ranks. 0 or -errno; nothing is left behind on failure. */
int node_create(struct node_cache *node, const char *base, uint32_t n_ranks);

/* Attaches to an existing one after checking owner, mode and nonce. 0 or -errno. */
int node_attach(struct node_cache *node, const char *directory, uint64_t nonce);
/* The same without a hold: the cache goes with the last rank; what is asked for then comes from the
 * file system. For children of ranks, which so have nothing to give back at their end: under a
 * filter of system calls (seccomp(2)) that knows what they do themselves, flock(2) would be their
 * death. */
int node_visit(struct node_cache *node, const char *directory, uint64_t nonce);

/* Drops our hold, if we have one; the last process out deletes the tree. Mapped records stay
 * readable (the segment is not unmapped: other threads may be reading). Not to be called in a
 * forked child, which shares its parent's lock. */
void node_leave(struct node_cache *node);

/* Removes caches of dead jobs of this user below base. Returns how many. */
int node_sweep(const char *base);

#endif
