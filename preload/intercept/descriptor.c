/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * descriptor.c - calls on an open descriptor that only the original can answer. Before the call the
 * descriptor of a mirror file becomes one of the original (invalidate/reopen.h).
 *
 * - flock(2), lockf(3), the locks of fcntl(2): a program may open a file for reading and lock it, as
 *   a mutex between ranks or against processes outside of the job. A lock on the node's copy would
 *   exclude nobody on other nodes.
 * - fgetxattr(2), flistxattr(2): the copy has no extended attributes.
 * - fstatfs(2), fstatvfs(3), copy_file_range(2): the copy is on another file system.
 */
#include "intercept/real.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include "invalidate/note.h"

FI_EXPORT int flock(int fd, int operation)
{
    note_use_original(fd);
    return real()->flock(fd, operation);
}

FI_EXPORT int lockf(int fd, int command, off_t length)
{
    note_use_original(fd);
    return real()->lockf(fd, command, length);
}

FI_EXPORT int lockf64(int fd, int command, off64_t length)
{
    note_use_original(fd);
    return real()->lockf64(fd, command, length);
}

/* Leases, too: they tell of opens on this node only, but of those of the original. */
static bool is_lock(int command)
{
    switch (command) {
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
    case F_SETLEASE:
        return true;
    default:
        return false;
    }
}

/* libc hands the argument on as a pointer, too, whatever its type is. */
#define FCNTL(name)                                                                                \
    FI_EXPORT int name(int fd, int command, ...)                                                   \
    {                                                                                              \
        void *argument;                                                                            \
        va_list list;                                                                              \
        va_start(list, command);                                                                   \
        argument = va_arg(list, void *);                                                           \
        va_end(list);                                                                              \
        if (is_lock(command)) {                                                                    \
            note_use_original(fd);                                                                 \
        }                                                                                          \
        return real()->name(fd, command, argument);                                                \
    }

FCNTL(fcntl)
FCNTL(fcntl64)

/* --- attributes and the file system --- */

FI_EXPORT ssize_t fgetxattr(int fd, const char *name, void *value, size_t size)
{
    note_use_original(fd);
    return real()->fgetxattr(fd, name, value, size);
}

FI_EXPORT ssize_t flistxattr(int fd, char *names, size_t size)
{
    note_use_original(fd);
    return real()->flistxattr(fd, names, size);
}

FI_EXPORT int fstatfs(int fd, struct statfs *facts)
{
    note_use_original(fd);
    return real()->fstatfs(fd, facts);
}

FI_EXPORT int fstatfs64(int fd, struct statfs64 *facts)
{
    note_use_original(fd);
    return real()->fstatfs64(fd, facts);
}

FI_EXPORT int fstatvfs(int fd, struct statvfs *facts)
{
    note_use_original(fd);
    return real()->fstatvfs(fd, facts);
}

FI_EXPORT int fstatvfs64(int fd, struct statvfs64 *facts)
{
    note_use_original(fd);
    return real()->fstatvfs64(fd, facts);
}

FI_EXPORT ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset,
                                  size_t size, unsigned flags)
{
    note_use_original(from);
    return real()->copy_file_range(from, from_offset, to, to_offset, size, flags);
}
