/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * changes.h - what this node has changed below the roots: such things are no longer answered from
 * the cache.
 *
 * A change is noted under several keys, since a thing has several names (symlinked directories,
 * hard links): the path as it was written, its inode, and its name in the directory of a given
 * inode. Device numbers are not part of a key: one file system has different ones on different
 * nodes. Two file systems' equal inodes only cost a real call more.
 *
 * A change of an object (its attributes, its bytes, a directory's listing) says nothing about what
 * is below it; a change of a name (created, removed, moved; or its permissions) does.
 *
 * Thread rules: any thread, also in signal handlers and forked children. Nothing is taken back.
 */
#ifndef FASTIMPORT_CACHE_CHANGES_H
#define FASTIMPORT_CACHE_CHANGES_H

#include "cache/node.h"

enum change_key {
    CHANGE_PATH,  /* a normal path */
    CHANGE_INODE, /* 8 bytes */
    CHANGE_NAME   /* the directory's inode, 8 bytes, and the name */
};

enum change_extent { CHANGE_OBJECT = 0, CHANGE_TREE = RECORD_TREE };

/* Has anything been changed? If not, no other question needs to be asked. */
static inline bool change_any(const struct node_cache *node)
{
    return atomic_load_explicit(&node->index.header->invalidations, memory_order_relaxed) > 0;
}

/* A change could not be noted: from now on nothing is answered on this node. */
void change_lost(struct node_cache *node);
bool changes_lost(const struct node_cache *node);

/* Something outside of the roots was changed, maybe a directory above one (intercept/parents.h). */
static inline void changes_note_above(struct node_cache *node)
{
    atomic_fetch_add(&node->index.header->changes_above, 1);
}

/* Was this changed, in a way that matters for it (extent OBJECT) or for what is below it (TREE)? */
bool change_of_path(const struct node_cache *node, const char *path, size_t length,
                    enum change_extent extent);
bool change_of_inode(const struct node_cache *node, ino_t inode, enum change_extent extent);
bool change_of_name(const struct node_cache *node, ino_t directory, const char *name,
                    size_t length);

/* Everything below this directory is the file system's from now on. False: the index is full. */
bool change_note_live(struct node_cache *node, const char *path, size_t length, ino_t inode);

/* Notes a change. False: the index is full. */
bool change_note_path(struct node_cache *node, const char *path, size_t length,
                      enum change_extent extent);
bool change_note_name(struct node_cache *node, ino_t directory, const char *name, size_t length);
/* `st`: what the object is now; path: where it is, "" if that is gone. */
bool change_note_inode(struct node_cache *node, const struct stat *st, const char *path,
                       enum change_extent extent);

/* Is a changed object still where it was last seen? */
bool change_is_there(const struct node_cache *node, ino_t inode);
/* Where that is; NULL if it is not known, or not changed. */
const char *change_place(const struct node_cache *node, ino_t inode);

/* What a changed object is now: by the path where it was last seen, else as it was noted. False: it
 * was not changed. */
bool change_current(const struct node_cache *node, const struct stat *original, struct stat *now);

#endif
