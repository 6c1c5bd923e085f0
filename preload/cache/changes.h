/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * changes.h - what processes of this node have changed below the roots, so that the cache no longer
 * answers for it.
 *
 * An object can be reached under several names (symlinked directories, hard links). So a change is
 * recorded under several keys: the path that the program used, the inode, and the name together
 * with the inode of its directory. Device numbers are not part of a key, because one file system
 * has different ones on different nodes. If two file systems have the same inode number, the only
 * effect is an unnecessary real call.
 *
 * A change of an object (its attributes, its bytes, a directory's listing) does not affect what is
 * below it. A change of a name (create, remove, rename) or of permissions does.
 *
 * Thread rules: any thread, also in signal handlers and forked children. A recorded change is never
 * withdrawn.
 */
#ifndef FASTIMPORT_CACHE_CHANGES_H
#define FASTIMPORT_CACHE_CHANGES_H

#include "cache/node.h"

enum change_key {
    CHANGE_PATH,  /* key: a normal path */
    CHANGE_INODE, /* key: the inode, 8 bytes */
    CHANGE_NAME   /* key: the inode of the directory, 8 bytes, then the name */
};

enum change_extent { CHANGE_OBJECT = 0, CHANGE_TREE = RECORD_TREE };

/* May other nodes have changed something without this node having heard of it? The service has
 * ended, or the root has been silent for too long: a change waits for its announcement as long
 * (invalidate/announce.h). Then nothing is answered from the cache, until the root is heard
 * again. */
bool changes_may_be_missed(const struct node_cache *node);

/* Has anything been changed? If not, callers skip all other questions. */
static inline bool change_any(const struct node_cache *node)
{
    return atomic_load_explicit(&node->index.header->invalidations, memory_order_relaxed) > 0 ||
           changes_may_be_missed(node);
}

/* Call this when a change could not be recorded. From then on this node answers nothing from the
 * cache: it could not tell which answers are stale. */
void changes_mark_lost(struct node_cache *node);
/* Has that happened? */
bool changes_are_lost(const struct node_cache *node);

/* Something outside the roots was changed, perhaps a directory above one: processes of this node
 * drop what they have remembered of those (intercept/parents.h). */
static inline void changes_note_above(struct node_cache *node)
{
    atomic_fetch_add(&node->index.header->changes_above, 1);
}

/* Has this been changed? With CHANGE_OBJECT any change of it counts, with CHANGE_TREE only one that
 * also affects what is below it. */
bool change_of_path(const struct node_cache *node, const char *path, size_t length,
                    enum change_extent extent);
bool change_of_inode(const struct node_cache *node, ino_t inode, enum change_extent extent);
bool change_of_name(const struct node_cache *node, ino_t directory, const char *name,
                    size_t length);

/* Records that nothing below this directory is answered from the cache any more. False: the index is
 * full; the caller then calls changes_mark_lost(). */
bool change_note_live(struct node_cache *node, const char *path, size_t length, ino_t inode);

/* Record a change. They return false if the index is full; the caller then calls
 * changes_mark_lost(). */
bool change_note_path(struct node_cache *node, const char *path, size_t length,
                      enum change_extent extent);
bool change_note_name(struct node_cache *node, ino_t directory, const char *name, size_t length);
/* st: the object's present attributes; path: where it is now, "" if it has been removed. */
bool change_note_inode(struct node_cache *node, const struct stat *st, const char *path,
                       enum change_extent extent);

/* Is a changed object still at the path where it was last seen? */
bool change_is_there(const struct node_cache *node, ino_t inode);
/* The path where a changed object was last seen; NULL if the object is unchanged or its path is not
 * known. */
const char *change_place(const struct node_cache *node, ino_t inode);

/* The present attributes of a changed object: by a stat of the path where it was last seen, or as
 * they were recorded. Returns false if the object is unchanged. */
bool change_current(const struct node_cache *node, const struct stat *original, struct stat *now);

#endif
