/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * write.c - calls that change the file system. They all go to the real file system. What they have
 * changed, and the listing of its directory, is then no longer served from the node cache (design
 * rule: a snapshot with an honest edge).
 */
#include "intercept/real.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "invalidate/note.h"

/* Reports the change if the call has succeeded. */
static int write_noted(int result, int dirfd, const char *path, enum change_extent extent)
{
    if (result >= 0) {
        note_change(dirfd, path, extent);
    } else if (errno == EEXIST || errno == ENOENT) {
        note_contradiction(dirfd, path);
    }
    return result;
}

static int noted_fd(int result, int fd)
{
    if (result == 0) {
        note_change_of_fd(fd);
    }
    return result;
}

#define WRITE_PATH(name, extent, parameters, arguments)                                            \
    FI_EXPORT int name parameters                                                                  \
    {                                                                                              \
        return write_noted(real()->name arguments, AT_FDCWD, path, extent);                        \
    }

WRITE_PATH(mkdir, CHANGE_TREE, (const char *path, mode_t mode), (path, mode))
WRITE_PATH(symlink, CHANGE_TREE, (const char *target, const char *path), (target, path))
WRITE_PATH(mknod, CHANGE_TREE, (const char *path, mode_t mode, dev_t device), (path, mode, device))
WRITE_PATH(__xmknod, CHANGE_TREE, (int version, const char *path, mode_t mode, dev_t *device),
           (version, path, mode, device))
WRITE_PATH(mkfifo, CHANGE_TREE, (const char *path, mode_t mode), (path, mode))
WRITE_PATH(utime, CHANGE_OBJECT, (const char *path, const struct utimbuf *times), (path, times))
WRITE_PATH(utimes, CHANGE_OBJECT, (const char *path, const struct timeval times[2]), (path, times))
WRITE_PATH(lutimes, CHANGE_OBJECT, (const char *path, const struct timeval times[2]), (path, times))
WRITE_PATH(truncate, CHANGE_OBJECT, (const char *path, off_t size), (path, size))
WRITE_PATH(truncate64, CHANGE_OBJECT, (const char *path, off64_t size), (path, size))

#define WRITE_AT(name, extent, parameters, arguments)                                              \
    FI_EXPORT int name parameters                                                                  \
    {                                                                                              \
        return write_noted(real()->name arguments, dirfd, path, extent);                           \
    }

WRITE_AT(mkdirat, CHANGE_TREE, (int dirfd, const char *path, mode_t mode), (dirfd, path, mode))
WRITE_AT(symlinkat, CHANGE_TREE, (const char *target, int dirfd, const char *path),
         (target, dirfd, path))
WRITE_AT(mknodat, CHANGE_TREE, (int dirfd, const char *path, mode_t mode, dev_t device),
         (dirfd, path, mode, device))
WRITE_AT(__xmknodat, CHANGE_TREE,
         (int version, int dirfd, const char *path, mode_t mode, dev_t *device),
         (version, dirfd, path, mode, device))
WRITE_AT(mkfifoat, CHANGE_TREE, (int dirfd, const char *path, mode_t mode), (dirfd, path, mode))

static bool is_itself(const char *path, int flags)
{
    return (flags & AT_EMPTY_PATH) != 0 && !has_name(path);
}

/* Without a path, AT_EMPTY_PATH refers to the object of the descriptor, which must not be a mirror
 * file. */
static void before_change_by_fd(int dirfd, const char *path, int flags)
{
    if (is_itself(path, flags)) {
        note_change_by_fd(dirfd);
    }
}

/* Changes of permissions: open files must stay readable. */
#define PERMISSIONS_PATH(name, parameters, arguments)                                              \
    FI_EXPORT int name parameters                                                                  \
    {                                                                                              \
        struct change_before before;                                                               \
        int result;                                                                                \
        before_chmod(&before, AT_FDCWD, path);                                                     \
        result = real()->name arguments;                                                           \
        if (result == 0) {                                                                         \
            after_chmod(&before);                                                                  \
        }                                                                                          \
        return result;                                                                             \
    }

#define PERMISSIONS_AT(name, parameters, arguments)                                                \
    FI_EXPORT int name parameters                                                                  \
    {                                                                                              \
        struct change_before before;                                                               \
        int result;                                                                                \
        before_change_by_fd(dirfd, path, flags);                                                   \
        before_chmod(&before, dirfd, is_itself(path, flags) ? "." : path);                         \
        result = real()->name arguments;                                                           \
        if (result == 0) {                                                                         \
            after_chmod(&before);                                                                  \
        }                                                                                          \
        return result;                                                                             \
    }

PERMISSIONS_PATH(chmod, (const char *path, mode_t mode), (path, mode))
PERMISSIONS_PATH(lchmod, (const char *path, mode_t mode), (path, mode))
PERMISSIONS_PATH(chown, (const char *path, uid_t owner, gid_t group), (path, owner, group))
PERMISSIONS_PATH(lchown, (const char *path, uid_t owner, gid_t group), (path, owner, group))
PERMISSIONS_AT(fchmodat, (int dirfd, const char *path, mode_t mode, int flags),
               (dirfd, path, mode, flags))
PERMISSIONS_AT(fchownat, (int dirfd, const char *path, uid_t owner, gid_t group, int flags),
               (dirfd, path, owner, group, flags))

/* libc declares that the path is not NULL, so the compiler drops a plain test unless the value is
 * opaque to it. */
static bool is_null(const char *path)
{
    size_t address = (size_t)path;

    __asm__("" : "+r"(address));
    return address == 0;
}

FI_EXPORT int futimesat(int dirfd, const char *path, const struct timeval times[2])
{
    if (is_null(path) && dirfd != AT_FDCWD) {
        return futimes(dirfd, times);
    }
    return write_noted(real()->futimesat(dirfd, path, times), dirfd, path, CHANGE_OBJECT);
}

FI_EXPORT int utimensat(int dirfd, const char *path, const struct timespec times[2], int flags)
{
    if (is_null(path) && flags == 0 && dirfd != AT_FDCWD) {
        return futimens(dirfd, times);
    }
    before_change_by_fd(dirfd, path, flags);
    return write_noted(real()->utimensat(dirfd, path, times, flags), dirfd, path, CHANGE_OBJECT);
}

/* --- names that are removed --- */

#define REMOVE(function, at, parameters, arguments)                                                \
    FI_EXPORT int function parameters                                                              \
    {                                                                                              \
        struct change_before before;                                                               \
        int result;                                                                                \
        before_remove(&before, at, path);                                                          \
        result = real()->function arguments;                                                       \
        if (result == 0) {                                                                         \
            after_remove(&before);                                                                 \
        } else if (errno == ENOENT) {                                                              \
            note_contradiction(at, path);                                                          \
        }                                                                                          \
        return result;                                                                             \
    }

REMOVE(unlink, AT_FDCWD, (const char *path), (path))
REMOVE(remove, AT_FDCWD, (const char *path), (path))
REMOVE(rmdir, AT_FDCWD, (const char *path), (path))
REMOVE(unlinkat, dirfd, (int dirfd, const char *path, int flags), (dirfd, path, flags))

/* --- calls with two paths --- */

#define RENAME(function, from_at, to_at, parameters, arguments)                                    \
    FI_EXPORT int function parameters                                                              \
    {                                                                                              \
        struct change_before source;                                                               \
        struct change_before target;                                                               \
        int result;                                                                                \
        before_remove(&source, from_at, from);                                                     \
        before_remove(&target, to_at, to);                                                         \
        result = real()->function arguments;                                                       \
        if (result == 0) {                                                                         \
            after_remove(&source);                                                                 \
            after_remove(&target);                                                                 \
        }                                                                                          \
        return result;                                                                             \
    }

RENAME(rename, AT_FDCWD, AT_FDCWD, (const char *from, const char *to), (from, to))
RENAME(renameat, from_dirfd, to_dirfd,
       (int from_dirfd, const char *from, int to_dirfd, const char *to),
       (from_dirfd, from, to_dirfd, to))
RENAME(renameat2, from_dirfd, to_dirfd,
       (int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags),
       (from_dirfd, from, to_dirfd, to, flags))

FI_EXPORT int link(const char *from, const char *to)
{
    int result = write_noted(real()->link(from, to), AT_FDCWD, from, CHANGE_OBJECT);

    return write_noted(result, AT_FDCWD, to, CHANGE_TREE);
}

FI_EXPORT int linkat(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags)
{
    int result;

    before_change_by_fd(from_dirfd, from, flags);
    result = write_noted(real()->linkat(from_dirfd, from, to_dirfd, to, flags), from_dirfd, from,
                         CHANGE_OBJECT);
    return write_noted(result, to_dirfd, to, CHANGE_TREE);
}

/* --- by descriptor: one of a mirror file stands for the original --- */

#define WRITE_FD(name, parameters, arguments, by_path)                                             \
    FI_EXPORT int name parameters                                                                  \
    {                                                                                              \
        char path[FI_PATH_MAX];                                                                    \
        if (note_original_path(fd, path)) {                                                        \
            return by_path;                                                                        \
        }                                                                                          \
        return noted_fd(real()->name arguments, fd);                                               \
    }

#define PERMISSIONS_FD(name, parameters, arguments, by_path)                                       \
    FI_EXPORT int name parameters                                                                  \
    {                                                                                              \
        struct change_before before;                                                               \
        int result;                                                                                \
        if (note_original_path(fd, before.path.text)) {                                            \
            return by_path;                                                                        \
        }                                                                                          \
        before_chmod_by_fd(&before, fd);                                                           \
        result = real()->name arguments;                                                           \
        if (result == 0) {                                                                         \
            after_chmod_by_fd(&before, fd);                                                        \
        }                                                                                          \
        return result;                                                                             \
    }

PERMISSIONS_FD(fchmod, (int fd, mode_t mode), (fd, mode), chmod(before.path.text, mode))
PERMISSIONS_FD(fchown, (int fd, uid_t owner, gid_t group), (fd, owner, group),
               chown(before.path.text, owner, group))
WRITE_FD(futimens, (int fd, const struct timespec times[2]), (fd, times),
         utimensat(AT_FDCWD, path, times, 0))
WRITE_FD(futimes, (int fd, const struct timeval times[2]), (fd, times), utimes(path, times))

/* --- names that libc makes up --- */

#define WRITE_TEMPORARY(function, parameters, arguments)                                           \
    FI_EXPORT int function parameters                                                              \
    {                                                                                              \
        return write_noted(real()->function arguments, AT_FDCWD, name, CHANGE_TREE);               \
    }

WRITE_TEMPORARY(mkstemp, (char *name), (name))
WRITE_TEMPORARY(mkstemp64, (char *name), (name))
WRITE_TEMPORARY(mkostemp, (char *name, int flags), (name, flags))
WRITE_TEMPORARY(mkostemp64, (char *name, int flags), (name, flags))
WRITE_TEMPORARY(mkstemps, (char *name, int suffix), (name, suffix))
WRITE_TEMPORARY(mkstemps64, (char *name, int suffix), (name, suffix))
WRITE_TEMPORARY(mkostemps, (char *name, int suffix, int flags), (name, suffix, flags))
WRITE_TEMPORARY(mkostemps64, (char *name, int suffix, int flags), (name, suffix, flags))

FI_EXPORT char *mkdtemp(char *name)
{
    char *made = real()->mkdtemp(name);

    if (made != NULL) {
        note_change(AT_FDCWD, made, CHANGE_TREE);
    }
    return made;
}
