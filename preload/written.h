/*
 * written.h - a call has changed the file system: note what bypasses the node cache from now on
 * (cache/change.h).
 *
 * Wrappers of calls that write come here after the real call has succeeded; those that remove a
 * name also before it, since afterwards nobody can tell what it was. Only changes below the roots
 * are noted; a foreign path costs the look at where its directory really is, once a directory, and
 * where the change would follow a symlink, whether it is one.
 *
 * Thread rules: any thread, also in signal handlers and forked children. errno is never touched.
 */
#ifndef FASTIMPORT_WRITTEN_H
#define FASTIMPORT_WRITTEN_H

#include "base/path.h"
#include "cache/change.h"

/* What a name named before the call, and in which directory. */
struct written_before {
    bool matters; /* else nothing is known, and nothing to be noted */
    bool was_there;
    bool has_directory;
    struct stat st;
    struct stat directory;
    struct fi_path path;
};

/* `path`, relative to dirfd, has been changed: CHANGE_TREE if the name now names something else, or
 * if permissions of what may be a directory changed; else CHANGE_OBJECT. */
void written(int dirfd, const char *path, enum change_extent extent);
void written_fd(int fd);
/* What the descriptor (AT_FDCWD: the working directory) stands for is about to change by way of it:
 * noted, and one of a mirror file is the original's from then on. */
void written_through(int fd);
/* open(2) with O_CREAT gave this descriptor: the file may be elsewhere, behind a symlink. is_new:
 * it was not there before. */
void written_created(int fd, int dirfd, const char *path, bool is_new);

/* Is the descriptor one of a mirror file? Then a change through it must be made to the original:
 * its path. */
bool written_original(int fd, char path[FI_PATH_MAX]);

/* Permissions are about to change, and may close the way to what is open; and then have. */
void written_closing(struct written_before *before, int dirfd, const char *path);
void written_closing_fd(struct written_before *before, int fd);
void written_closed(struct written_before *before);
void written_closed_fd(struct written_before *before, int fd);

/* What is open stays what it is, whatever names will name: as far as possible it becomes the
 * original. */
void written_hold_all(void);

void written_remember(struct written_before *before, int dirfd, const char *path);
/* The name has been removed, or names something else. */
void written_over(struct written_before *before);

#endif
