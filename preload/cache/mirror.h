/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mirror.h - the files of a node cache: a tree of copies under their original paths.
 *
 * The copy of `/sw/env/lib/x.so` is `<cache>/files/sw/env/lib/x.so`, so that RUNPATHs relative to
 * $ORIGIN work inside the mirror. rename(2) puts a complete copy in place, with the permissions and
 * times of the original. A copy may also hold only the part of a library that ld.so maps; if a
 * program reads the file, the copy is completed in place.
 *
 * A partial copy (extents.h) has a name of its own, `libx.so.~<16 hexadecimal digits>`, because
 * only dlopen/load.h may use it: it maps the original behind what the copy lacks. Under the name
 * `libx.so` there is a symlink to the original, for ld.so, which may come here by $ORIGIN.
 *
 * A copy that nobody uses any more may be removed (give_back.h).
 *
 * A RECORD_MIRROR record maps the inode of each copy to the struct stat of the original. So fstat()
 * on a copy is answered correctly whatever dup, fork or close did to descriptors.
 *
 * Calling order: mirror_begin(), mirror_append() in order, then mirror_finish() or
 * mirror_abandon(). Errors are -errno, and those of room.h: a file that does not fit is not kept.
 * Thread rules: any thread; one writer belongs to one thread.
 */
#ifndef FASTIMPORT_CACHE_MIRROR_H
#define FASTIMPORT_CACHE_MIRROR_H

#include "base/path.h"
#include "cache/node.h"
#include "cache/partial.h"
#include "cache/room.h"

/* Room for the path of any mirror file, with its NUL. */
enum { MIRROR_PATH_MAX = FI_PATH_MAX + NODE_PATH_MAX };

struct mirror_writer {
    int fd;
    struct extents parts; /* borrowed until mirror_finish(); none: all bytes from the start on */
    uint64_t written;
    struct room room;
    char temporary[NODE_PATH_MAX];
};

/* Writes the path of the copy of `path` to `out`. Returns false if it does not fit, or if ".."
 * would lead out of the mirror. */
bool mirror_path(const struct node_cache *node, const char *path, char *out, size_t size);
/* The same for a partial copy; `version` is that of extents.h, or 0 for a copy that is not
 * partial. */
bool mirror_copy_path(const struct node_cache *node, const char *path, uint64_t version, char *out,
                      size_t size);
/* The reverse, in place: a path in the mirror becomes that of the original. Other paths stay, and the
 * result is false. */
bool mirror_path_to_original(const struct node_cache *node, char *path);

/* The RECORD_CONTENT of what ld.so maps of this library; NULL if there is none, or without an
 * answer. ".." is removed textually, so the path must be one that the root has resolved. */
const struct record *mirror_library(const struct node_cache *node, const char *path);

/* mirror_begin() starts a copy of `size` bytes; for a partial one the caller sets `parts`, and
 * appends the bytes of all of them in order. mirror_finish() publishes the record of the inode,
 * gives the file the size of the original (what was not appended becomes a hole) and puts it in its
 * place; a file with a hole does not replace an existing copy. mirror_abandon() removes the
 * unfinished copy.
 *
 * `path` must be normal (base/path.h), otherwise the result is -ENAMETOOLONG: the copy of "/a/../b"
 * could belong to another file. Nothing creates symlinks in the mirror, so a normal path cannot
 * lead out of it. */
int mirror_begin(struct mirror_writer *writer, struct node_cache *node, uint64_t size);
int mirror_append(struct mirror_writer *writer, const void *bytes, size_t size);
int mirror_finish(struct mirror_writer *writer, struct node_cache *node, const char *path,
                  const struct stat *original);
void mirror_abandon(struct mirror_writer *writer);

/* Makes `path` another name (a hard link) of the mirror file of `first`. `version`: as in
 * mirror_copy_path(). */
int mirror_link(struct node_cache *node, const char *first, const char *path, uint64_t version);

/* Tells the user, once in a process, that a file was not kept because there is no room. False: the
 * error has another reason. */
bool mirror_tell_no_room(const struct node_cache *node, const char *path, int error);

/* The struct stat of the original if `st` is that of a mirror file, else NULL. It points into the
 * segment. */
const struct stat *mirror_original(const struct node_cache *node, const struct stat *st);

#endif
