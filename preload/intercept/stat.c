/* SPDX-License-Identifier: BSD-3-Clause */
/* stat.c - stat(2), access(2) and their families, old names and new ones. */
#include "intercept/real.h"

#include <errno.h>
#include <fcntl.h>

#include "answer/answer.h"
#include "base/path.h"
#include "intercept/parents.h"
#include "invalidate/note.h"
#include "resolve.h"

_Static_assert(sizeof(struct stat) == sizeof(struct stat64),
               "one layout serves both (64-bit ABIs)");

/* Is the path absolute or relative to the working directory, so that resolve() can take it? */
static bool is_plain(int dirfd, const char *path)
{
    return dirfd == AT_FDCWD || (could_be_pointer(path) && path[0] == '/');
}

static bool is_served(int error, int *result)
{
    *result = error == 0 ? 0 : -1;
    if (error != 0) {
        errno = -error;
    }
    return true;
}

/* True: *result and errno are set. */
static bool serve_stat(const char *path, bool follow, void *st, int *result)
{
    struct answer a;

    if (!resolve_wanted(path) || !could_be_pointer(st) ||
        !resolve(CALL_STAT, RECORD_STAT, 0, path, &a)) {
        *result = 0;
        return parents_stat(path, follow, st);
    }
    return is_served(a.error != 0 ? a.error : answer_stat(a.record, follow, st), result);
}

static int stat_correct(int result, void *st)
{
    if (result == 0 && __builtin_expect(resolve_begun, 0)) {
        answer_fstat(resolver.node, st);
    }
    return result;
}

/* The name of an open descriptor may lead to a mirror file. */
static int stat_correct_named(int result, const char *path, void *st)
{
    return result == 0 && __builtin_expect(resolve_begun, 0) && path_may_name_descriptor(path)
               ? stat_correct(result, st)
               : result;
}

#define STAT_BY_PATH(name, type, follow)                                                           \
    FI_EXPORT int name(const char *path, struct type *st)                                          \
    {                                                                                              \
        int result;                                                                                \
        if (serve_stat(path, follow, st, &result)) {                                               \
            return result;                                                                         \
        }                                                                                          \
        return stat_correct_named(real()->name(path, st), path, st);                               \
    }

STAT_BY_PATH(stat, stat, true)
STAT_BY_PATH(stat64, stat64, true)
STAT_BY_PATH(lstat, stat, false)
STAT_BY_PATH(lstat64, stat64, false)

#define STAT_BY_FD(name, type)                                                                     \
    FI_EXPORT int name(int fd, struct type *st)                                                    \
    {                                                                                              \
        return stat_correct(real()->name(fd, st), st);                                             \
    }

STAT_BY_FD(fstat, stat)
STAT_BY_FD(fstat64, stat64)

/* AT_NO_AUTOMOUNT does not matter for what exists already. The kernel decides about all other
 * flags. */
static bool serve_statat(int dirfd, const char *path, void *st, int flags, int *result)
{
    return is_plain(dirfd, path) && (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)) == 0 &&
           serve_stat(path, (flags & AT_SYMLINK_NOFOLLOW) == 0, st, result);
}

#define STAT_AT(name, type)                                                                        \
    FI_EXPORT int name(int dirfd, const char *path, struct type *st, int flags)                    \
    {                                                                                              \
        int result;                                                                                \
        if (serve_statat(dirfd, path, st, flags, &result)) {                                       \
            return result;                                                                         \
        }                                                                                          \
        result = real()->name(dirfd, path, st, flags);                                             \
        return (flags & AT_EMPTY_PATH) != 0 ? stat_correct(result, st)                             \
                                            : stat_correct_named(result, path, st);                \
    }

STAT_AT(fstatat, stat)
STAT_AT(fstatat64, stat64)

/* In the old interface, version 1 (Linux) and 0 (kernel) both mean the present struct stat on
 * 64-bit systems. */
#define XSTAT_BY_PATH(name, type, follow)                                                          \
    FI_EXPORT int name(int version, const char *path, struct type *st)                             \
    {                                                                                              \
        int result;                                                                                \
        if ((version == 0 || version == 1) && serve_stat(path, follow, st, &result)) {             \
            return result;                                                                         \
        }                                                                                          \
        return stat_correct_named(real()->name(version, path, st), path, st);                      \
    }

XSTAT_BY_PATH(__xstat, stat, true)
XSTAT_BY_PATH(__xstat64, stat64, true)
XSTAT_BY_PATH(__lxstat, stat, false)
XSTAT_BY_PATH(__lxstat64, stat64, false)

#define XSTAT_BY_FD(name, type)                                                                    \
    FI_EXPORT int name(int version, int fd, struct type *st)                                       \
    {                                                                                              \
        return stat_correct(real()->name(version, fd, st), st);                                    \
    }

XSTAT_BY_FD(__fxstat, stat)
XSTAT_BY_FD(__fxstat64, stat64)

#define XSTAT_AT(name, type)                                                                       \
    FI_EXPORT int name(int version, int dirfd, const char *path, struct type *st, int flags)       \
    {                                                                                              \
        int result;                                                                                \
        if ((version == 0 || version == 1) && serve_statat(dirfd, path, st, flags, &result)) {     \
            return result;                                                                         \
        }                                                                                          \
        result = real()->name(version, dirfd, path, st, flags);                                    \
        return (flags & AT_EMPTY_PATH) != 0 ? stat_correct(result, st)                             \
                                            : stat_correct_named(result, path, st);                \
    }

XSTAT_AT(__fxstatat, stat)
XSTAT_AT(__fxstatat64, stat64)

/* Would the kernel accept the arguments before it looks at the path? */
static bool statx_is_sound(int flags, unsigned mask)
{
    const int known =
        AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC;

    return (flags & ~known) == 0 && (flags & AT_STATX_SYNC_TYPE) != AT_STATX_SYNC_TYPE &&
           (mask & STATX__RESERVED) == 0;
}

/* statx returns more than stat. Each combination of flags and mask has its own record. */
static bool serve_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *stx,
                        int *result)
{
    uint64_t argument = (uint64_t)(unsigned)flags << 32 | mask;
    struct answer a;

    if (!is_plain(dirfd, path) || !statx_is_sound(flags, mask) || !resolve_wanted(path) ||
        !could_be_pointer(stx) || !resolve(CALL_STAT, RECORD_STATX, argument, path, &a)) {
        return false;
    }
    if (a.error == 0) {
        *stx = *(const struct statx *)record_payload(a.record);
    }
    return is_served(a.error, result);
}

/* statx by descriptor: that of a mirror file is answered as the original. (Linux refuses unknown
 * flags with a path only, since 6.11.) */
static int statx_of_fd(int fd, int flags, unsigned mask, struct statx *stx)
{
    char path[FI_PATH_MAX];

    if (!note_original_path(fd, path)) {
        answer_fstatx(resolver.node, stx);
        return 0;
    }
    return statx(AT_FDCWD, path, flags & AT_STATX_SYNC_TYPE, mask, stx);
}

FI_EXPORT int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *stx)
{
    int result;

    if (serve_statx(dirfd, path, flags, mask, stx, &result)) {
        return result;
    }
    result = real()->statx(dirfd, path, flags, mask, stx);
    if (result != 0 || __builtin_expect(!resolve_begun, 1)) {
        return result;
    }
    if ((flags & AT_EMPTY_PATH) != 0 && !has_name(path)) {
        result = statx_of_fd(dirfd, flags, mask, stx);
    } else if (path_may_name_descriptor(path)) {
        answer_fstatx(resolver.node, stx);
    }
    return result;
}

/* --- access --- */

static bool serve_access(const char *path, int mode, bool effective, int *result)
{
    struct answer a;

    if (!resolve_wanted(path) || (mode & ~7) != 0 ||
        !resolve(CALL_ACCESS, RECORD_ACCESS, (uint64_t)mode | (effective ? RECORD_EFFECTIVE : 0),
                 path, &a)) {
        return false;
    }
    return is_served(a.error, result);
}

FI_EXPORT int access(const char *path, int mode)
{
    int result;

    return serve_access(path, mode, false, &result) ? result : real()->access(path, mode);
}

FI_EXPORT int faccessat(int dirfd, const char *path, int mode, int flags)
{
    int result;

    if (is_plain(dirfd, path) && (flags & ~AT_EACCESS) == 0 &&
        serve_access(path, mode, flags == AT_EACCESS, &result)) {
        return result;
    }
    return real()->faccessat(dirfd, path, mode, flags);
}

FI_EXPORT int eaccess(const char *path, int mode)
{
    int result;

    return serve_access(path, mode, true, &result) ? result : real()->eaccess(path, mode);
}

FI_EXPORT int euidaccess(const char *path, int mode)
{
    int result;

    return serve_access(path, mode, true, &result) ? result : real()->euidaccess(path, mode);
}
