/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lock.c - flock(2), lockf(3), and the locks of fcntl(2).
 *
 * A program may open a file for reading and lock it, as a mutex between ranks or against processes
 * outside of the job. A lock on the node's copy would exclude nobody on other nodes. So before the
 * call the descriptor becomes one of the original (invalidate/reopen.h).
 */
#include "intercept/real.h"

#include <fcntl.h>
#include <stdarg.h>

#include "invalidate/note.h"

FI_EXPORT int flock(int fd, int operation)
{
    note_lock(fd);
    return real()->flock(fd, operation);
}

FI_EXPORT int lockf(int fd, int command, off_t length)
{
    note_lock(fd);
    return real()->lockf(fd, command, length);
}

FI_EXPORT int lockf64(int fd, int command, off64_t length)
{
    note_lock(fd);
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
FI_EXPORT int fcntl(int fd, int command, ...)
{
    void *argument;
    va_list list;

    va_start(list, command);
    argument = va_arg(list, void *);
    va_end(list);
    if (is_lock(command)) {
        note_lock(fd);
    }
    return real()->fcntl(fd, command, argument);
}

FI_EXPORT int fcntl64(int fd, int command, ...)
{
    void *argument;
    va_list list;

    va_start(list, command);
    argument = va_arg(list, void *);
    va_end(list);
    if (is_lock(command)) {
        note_lock(fd);
    }
    return real()->fcntl64(fd, command, argument);
}
