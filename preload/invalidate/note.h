/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * note.h - the wrappers report changes of the file system here; the node cache no longer answers
 * for what has changed (cache/changes.h).
 *
 * A wrapper of a call that writes reports the change after the real call has succeeded. One that
 * removes a name, or changes permissions, also calls the before_ function first, because afterwards
 * nobody can tell what the name referred to.
 *
 * Only changes below the roots are recorded. For another path the cost is finding out where its
 * directory really is, once for each directory, and whether a symlink at its end would be followed.
 *
 * Thread rules: any thread, also in signal handlers and forked children. errno is never touched.
 */
#ifndef FASTIMPORT_INVALIDATE_NOTE_H
#define FASTIMPORT_INVALIDATE_NOTE_H

#include "base/path.h"
#include "cache/changes.h"

/* What a path referred to before the call, and in which directory. */
struct change_before {
    bool matters; /* false: the change does not matter, and the other fields are undefined */
    bool was_there;
    bool has_directory;
    struct stat st;
    struct stat directory;
    struct fi_path path;
};

/* Reports that `path`, relative to dirfd, has been changed. CHANGE_TREE: the name now refers to
 * another object, or permissions of what may be a directory have changed. Otherwise CHANGE_OBJECT.
 * note_change_of_fd() does the same for an open file. */
void note_change(int dirfd, const char *path, enum change_extent extent);
void note_change_of_fd(int fd);
/* Reports that the object of this descriptor is about to change by way of the descriptor (AT_FDCWD:
 * the working directory). If it is a descriptor of a mirror file, it is replaced by one of the
 * original. */
void note_change_by_fd(int fd);
/* Reports that the file system contradicted what the cache may hold of this name: it is there
 * (EEXIST), or it is not (ENOENT). From now on this node asks the file system about it. */
void note_contradiction(int dirfd, const char *path);
/* Reports that open(2) with O_CREAT has returned fd; because of a symlink the file may be elsewhere
 * than `path`. is_new: it was created by this call. */
void note_created(int fd, int dirfd, const char *path, bool is_new);

/* If the descriptor is that of a mirror file: true, and the path of the original, to which a change
 * must be applied. */
bool note_original_path(int fd, char path[FI_PATH_MAX]);

/* Call these before and after a change of permissions, which may make what is open inaccessible;
 * the after_ function only if the change has succeeded. */
void before_chmod(struct change_before *before, int dirfd, const char *path);
void before_chmod_by_fd(struct change_before *before, int fd);
void after_chmod(struct change_before *before);
void after_chmod_by_fd(struct change_before *before, int fd);

/* All open descriptors of mirror files are replaced by descriptors of the originals, as far as
 * possible, before paths change their meaning. */
void note_reopen_all(void);

/* A descriptor of a mirror file becomes one of the original, as far as possible. */
void note_use_original(int fd);

/* Call before_remove() before a call that removes or replaces a name, and after_remove() when it
 * has succeeded. */
void before_remove(struct change_before *before, int dirfd, const char *path);
void after_remove(struct change_before *before);

#endif
