/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mirror.h - the files of a node cache: a tree of copies under their original paths.
 *
 * `/sw/env/lib/x.so` is kept as `<cache>/files/sw/env/lib/x.so`, so that $ORIGIN-relative RUNPATHs
 * work inside the mirror. A file appears there whole, by rename(2), with the permissions and times
 * of the original; or with what ld.so maps of it, and is completed in place when somebody reads it.
 * What is written to a mirror file's inode is described by a RECORD_MIRROR record, which lets
 * fstat() on it be answered with the original's struct stat, whatever dup, fork or close did to
 * descriptors.
 *
 * Errors are -errno; -ENOSPC also when the file would leave too little room for the job's own
 * shared memory.
 */
#ifndef FASTIMPORT_CACHE_MIRROR_H
#define FASTIMPORT_CACHE_MIRROR_H

#include "cache/node.h"

struct mirror_writer {
    int fd;
    uint64_t note_change;
    char temporary[512];
};

/* Where a path's copy is; false if the name gets too long, or leads out of the mirror by "..". */
bool mirror_path(const struct node_cache *node, const char *path, char *out, size_t size);

/* A copy is written under a normal name only (base/path.h), else -ENAMETOOLONG: "/a/../b" could be
 * another file's. As nothing makes a symlink in the mirror, it stays there.
 *
 * Begin, append in order, then finish (publishes the inode's record; the file is in place, of the
 * original's size: what was not appended is a hole) or abandon. A file with a hole does not replace
 * one that is there: that one stays. */
int mirror_begin(struct mirror_writer *writer, struct node_cache *node, uint64_t size);
int mirror_append(struct mirror_writer *writer, const void *bytes, size_t size);
int mirror_finish(struct mirror_writer *writer, struct node_cache *node, const char *path,
                  const struct stat *original);
void mirror_abandon(struct mirror_writer *writer);

/* Makes `path` another name of the mirror file of `first`. */
int mirror_link(struct node_cache *node, const char *first, const char *path);

/* If (st_dev, st_ino) is a mirror file's, the original's struct stat; else NULL. */
const struct stat *mirror_original(const struct node_cache *node, const struct stat *st);

#endif
