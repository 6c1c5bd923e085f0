/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * note.h - a call has changed the file system: note what bypasses the node cache from now on
 * (cache/change.h).
 *
 * Wrappers of calls that write come here after the real call has succeeded; those that remove a
 * name also before it, since afterwards nobody can tell what it was. Only changes below the roots
 * are noted; a foreign path costs the look at where its directory really is, once a directory, and
 * where the change would follow a symlink, whether it is one.
 *
 * Thread rules: any thread, also in signal handlers and forked children. errno is never touched.
 */
#ifndef FASTIMPORT_INVALIDATE_NOTE_H
#define FASTIMPORT_INVALIDATE_NOTE_H

#include "base/path.h"
#include "cache/changes.h"

/* What a name named before the call, and in which directory. */
struct change_before {
    bool matters; /* else nothing is known, and nothing to be noted */
    bool was_there;
    bool has_directory;
    struct stat st;
    struct stat directory;
    struct fi_path path;
};

/* `path`, relative to dirfd, has been changed: CHANGE_TREE if the name now names something else, or
 * if permissions of what may be a directory changed; else CHANGE_OBJECT. */
void note_change(int dirfd, const char *path, enum change_extent extent);
void note_change_of_fd(int fd);
/* What the descriptor (AT_FDCWD: the working directory) stands for is about to change by way of it:
 * noted, and one of a mirror file is the original's from then on. */
void note_change_by_fd(int fd);
/* The file system said of this name what the cache may not know: that it is there (EEXIST), or that
 * it is not (ENOENT). This node asks the file system about it from now on. */
void note_contradiction(int dirfd, const char *path);
/* open(2) with O_CREAT gave this descriptor: the file may be elsewhere, behind a symlink. is_new:
 * it was not there before. */
void note_created(int fd, int dirfd, const char *path, bool is_new);

/* Is the descriptor one of a mirror file? Then a change through it must be made to the original:
 * its path. */
bool note_original_path(int fd, char path[FI_PATH_MAX]);

/* Permissions are about to change, and may close the way to what is open; and then have. */
void before_chmod(struct change_before *before, int dirfd, const char *path);
void before_chmod_by_fd(struct change_before *before, int fd);
void after_chmod(struct change_before *before);
void after_chmod_by_fd(struct change_before *before, int fd);

/* What is open stays what it is, whatever names will name: as far as possible it becomes the
 * original. */
void note_reopen_all(void);

void before_remove(struct change_before *before, int dirfd, const char *path);
/* The name has been removed, or names something else. */
void after_remove(struct change_before *before);

#endif
