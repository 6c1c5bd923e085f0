/*
 * write.c - calls that change the file system. They go to the real one; what they changed bypasses the node cache
 * from then on, with the listing of its directory (design rule: a snapshot with an honest edge).
 */
#include "intercept/real.h"

#include <fcntl.h>

#include "resolve.h"

enum extent { PATH, TREE };

/* Success: note what was changed. */
static int noted(int result, int dirfd, const char *path, enum extent extent)
{
    if (result >= 0) {
        resolve_written(dirfd, path, extent == TREE);
    }
    return result;
}

static int noted_fd(int result, int fd)
{
    if (result == 0) {
        resolve_written_fd(fd);
    }
    return result;
}

#define WRITE_PATH(name, extent, parameters, arguments)                                            \
    FI_EXPORT int name parameters                                                                  \
    {                                                                                              \
        return noted(real()->name arguments, AT_FDCWD, path, extent);                              \
    }

WRITE_PATH(mkdir, TREE, (const char *path, mode_t mode), (path, mode))
WRITE_PATH(rmdir, TREE, (const char *path), (path))
WRITE_PATH(symlink, TREE, (const char *target, const char *path), (target, path))
WRITE_PATH(mknod, PATH, (const char *path, mode_t mode, dev_t device), (path, mode, device))
WRITE_PATH(mkfifo, PATH, (const char *path, mode_t mode), (path, mode))
WRITE_PATH(chmod, TREE, (const char *path, mode_t mode), (path, mode))
WRITE_PATH(chown, TREE, (const char *path, uid_t owner, gid_t group), (path, owner, group))
WRITE_PATH(lchown, TREE, (const char *path, uid_t owner, gid_t group), (path, owner, group))
WRITE_PATH(utime, PATH, (const char *path, const struct utimbuf *times), (path, times))
WRITE_PATH(utimes, PATH, (const char *path, const struct timeval times[2]), (path, times))
WRITE_PATH(lutimes, PATH, (const char *path, const struct timeval times[2]), (path, times))
WRITE_PATH(truncate, PATH, (const char *path, off_t size), (path, size))
WRITE_PATH(truncate64, PATH, (const char *path, off64_t size), (path, size))

#define WRITE_AT(name, extent, parameters, arguments)                                              \
    FI_EXPORT int name parameters                                                                  \
    {                                                                                              \
        return noted(real()->name arguments, dirfd, path, extent);                                 \
    }

WRITE_AT(mkdirat, TREE, (int dirfd, const char *path, mode_t mode), (dirfd, path, mode))
WRITE_AT(symlinkat, TREE, (const char *target, int dirfd, const char *path), (target, dirfd, path))
WRITE_AT(mknodat, PATH, (int dirfd, const char *path, mode_t mode, dev_t device), (dirfd, path, mode, device))
WRITE_AT(mkfifoat, PATH, (int dirfd, const char *path, mode_t mode), (dirfd, path, mode))
WRITE_AT(fchmodat, TREE, (int dirfd, const char *path, mode_t mode, int flags), (dirfd, path, mode, flags))
WRITE_AT(fchownat, TREE, (int dirfd, const char *path, uid_t owner, gid_t group, int flags),
         (dirfd, path, owner, group, flags))

static bool has_path(const char *path)
{
    return path != NULL && path[0] != '\0';
}

FI_EXPORT int futimesat(int dirfd, const char *path, const struct timeval times[2])
{
    int result = real()->futimesat(dirfd, path, times);

    return has_path(path) ? noted(result, dirfd, path, PATH) : noted_fd(result, dirfd);
}

FI_EXPORT int utimensat(int dirfd, const char *path, const struct timespec times[2], int flags)
{
    int result = real()->utimensat(dirfd, path, times, flags);

    return has_path(path) ? noted(result, dirfd, path, PATH) : noted_fd(result, dirfd);
}

/* --- names that go ---------------------------------------------------------------------------------------------------- */

static int noted_gone(int result, int dirfd, const char *path, const struct resolve_name *gone)
{
    if (result == 0) {
        resolve_unlinked(gone);
    }
    return noted(result, dirfd, path, TREE);
}

FI_EXPORT int unlink(const char *path)
{
    struct resolve_name gone = resolve_before_unlink(AT_FDCWD, path);

    return noted_gone(real()->unlink(path), AT_FDCWD, path, &gone);
}

FI_EXPORT int unlinkat(int dirfd, const char *path, int flags)
{
    struct resolve_name gone = resolve_before_unlink(dirfd, path);

    return noted_gone(real()->unlinkat(dirfd, path, flags), dirfd, path, &gone);
}

FI_EXPORT int remove(const char *path)
{
    struct resolve_name gone = resolve_before_unlink(AT_FDCWD, path);

    return noted_gone(real()->remove(path), AT_FDCWD, path, &gone);
}

/* --- two paths ------------------------------------------------------------------------------------------------------ */

static int noted_both(int result, int from_dirfd, const char *from, int to_dirfd, const char *to, enum extent extent)
{
    return noted(noted(result, from_dirfd, from, extent), to_dirfd, to, extent);
}

/* What `to` named before has a link less. */
static int noted_rename(int result, int from_dirfd, const char *from, int to_dirfd, const char *to, const struct resolve_name *gone)
{
    if (result == 0) {
        resolve_unlinked(gone);
    }
    return noted_both(result, from_dirfd, from, to_dirfd, to, TREE);
}

FI_EXPORT int rename(const char *from, const char *to)
{
    struct resolve_name gone = resolve_before_unlink(AT_FDCWD, to);

    return noted_rename(real()->rename(from, to), AT_FDCWD, from, AT_FDCWD, to, &gone);
}

FI_EXPORT int renameat(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
    struct resolve_name gone = resolve_before_unlink(to_dirfd, to);

    return noted_rename(real()->renameat(from_dirfd, from, to_dirfd, to), from_dirfd, from, to_dirfd, to, &gone);
}

FI_EXPORT int renameat2(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags)
{
    return noted_both(real()->renameat2(from_dirfd, from, to_dirfd, to, flags), from_dirfd, from, to_dirfd, to, TREE);
}

FI_EXPORT int link(const char *from, const char *to)
{
    return noted_both(real()->link(from, to), AT_FDCWD, from, AT_FDCWD, to, PATH);
}

FI_EXPORT int linkat(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags)
{
    return noted_both(real()->linkat(from_dirfd, from, to_dirfd, to, flags), from_dirfd, from, to_dirfd, to, PATH);
}

/* --- through a descriptor --------------------------------------------------------------------------------------------- */

#define WRITE_FD(name, parameters, arguments)                                                      \
    FI_EXPORT int name parameters                                                                  \
    {                                                                                              \
        return noted_fd(real()->name arguments, fd);                                               \
    }

WRITE_FD(fchmod, (int fd, mode_t mode), (fd, mode))
WRITE_FD(fchown, (int fd, uid_t owner, gid_t group), (fd, owner, group))
WRITE_FD(futimens, (int fd, const struct timespec times[2]), (fd, times))
WRITE_FD(futimes, (int fd, const struct timeval times[2]), (fd, times))

/* --- names that libc makes up ------------------------------------------------------------------------------------------- */

#define WRITE_TEMPORARY(function, parameters, arguments)                                           \
    FI_EXPORT int function parameters                                                              \
    {                                                                                              \
        return noted(real()->function arguments, AT_FDCWD, name, PATH);                            \
    }

WRITE_TEMPORARY(mkstemp, (char *name), (name))
WRITE_TEMPORARY(mkstemp64, (char *name), (name))
WRITE_TEMPORARY(mkostemp, (char *name, int flags), (name, flags))
WRITE_TEMPORARY(mkostemp64, (char *name, int flags), (name, flags))
WRITE_TEMPORARY(mkstemps, (char *name, int suffix), (name, suffix))
WRITE_TEMPORARY(mkostemps, (char *name, int suffix, int flags), (name, suffix, flags))

FI_EXPORT char *mkdtemp(char *name)
{
    char *made = real()->mkdtemp(name);

    if (made != NULL) {
        resolve_written(AT_FDCWD, made, true);
    }
    return made;
}
