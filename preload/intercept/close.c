/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * close.c - close(2), close_range(2), closefrom(3), dup2(2), dup3(2): a program may close every
 * descriptor that it did not open, and put others in their places. What base/held.h holds survives
 * that: closing it is answered as if it were not there, and the program's descriptor gets its
 * number where it asks for that.
 */
#include "intercept/real.h"

#include <errno.h>
#include <fcntl.h>

#include "base/guard.h"
#include "base/held.h"
#include "base/log.h"
#include "base/sys.h"
#include "mpi/init.h"
#include "service/service.h"

/* What a program that uses MPI itself does to MPI's descriptors is its own affair. */
static bool is_spared(int entry)
{
    return entry >= 0 && (held_kind_of(entry) == HELD_OURS ||
                          !(init_program_asked() || init_program_initialized()));
}

/* The entry of a descriptor that is not to be closed, -1: it may be. */
static int spared(int fd)
{
    int entry = held_find(fd);

    if (entry >= 0 && fi_inside()) { /* MPI itself */
        held_drop(entry);
        return -1;
    }
    return is_spared(entry) ? entry : -1;
}

/* The program has inherited the launcher's descriptor, and of the others it knows nothing. */
static bool seems_open(int entry)
{
    return held_kind_of(entry) == HELD_PMI && held_pretend_closed(entry);
}

FI_EXPORT int close(int fd)
{
    int entry = held_maybe(fd) ? spared(fd) : -1;

    if (entry >= 0) {
        errno = EBADF;
        return seems_open(entry) ? 0 : -1;
    }
    if (fd == STDERR_FILENO && !fi_inside()) {
        log_error_closed();
    }
    return real()->close(fd);
}

/* With flags nothing is closed now, or for this thread only: the service has a table of its own. */
FI_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
    int next;

    if (first > last || flags != 0 || fi_inside()) {
        return real()->close_range(first, last, flags);
    }
    if (first <= STDERR_FILENO && last >= STDERR_FILENO) {
        log_error_closed();
    }
    while ((next = held_next(first)) >= 0 && (unsigned)next <= last) {
        int entry = spared(next);
        unsigned end = entry >= 0 ? (unsigned)next - 1 : (unsigned)next;

        if (end + 1 > first && real()->close_range(first, end, 0) != 0) {
            return -1;
        }
        if (entry >= 0) {
            seems_open(entry);
        }
        first = (unsigned)next + 1;
    }
    return first <= last ? real()->close_range(first, last, 0) : 0;
}

/* Without close_range(2) (before Linux 5.9). */
static void close_each(int low)
{
    int most = (int)sysconf(_SC_OPEN_MAX);

    for (int fd = low; fd < most; fd++) {
        close(fd);
    }
}

FI_EXPORT void closefrom(int low)
{
    int error = errno;

    low = low < 0 ? 0 : low;
    if (close_range((unsigned)low, ~0U, 0) != 0) {
        close_each(low);
    }
    errno = error;
}

/* The program is about to have this number. */
static void make_way(int fd)
{
    int entry = held_maybe(fd) ? spared(fd) : -1;

    if (entry < 0) {
        return;
    }
    if (held_kind_of(entry) != HELD_OURS) {
        service_lose_mpi();
    }
    if (held_find(fd) == entry) {
        held_move(entry);
    }
}

/* Is there something to be put there? (Else the call fails.) */
static bool will_take(int fd, int to)
{
    return held_maybe(to) && fd != to && sys_fcntl(fd, F_GETFD, 0) >= 0;
}

static int close_taken(int fd)
{
    if (fd == STDERR_FILENO && !fi_inside()) {
        log_error_opened();
    }
    return fd;
}

FI_EXPORT int dup2(int fd, int to)
{
    if (will_take(fd, to)) {
        make_way(to);
    }
    return close_taken(real()->dup2(fd, to));
}

FI_EXPORT int dup3(int fd, int to, int flags)
{
    if (will_take(fd, to) && (flags & ~O_CLOEXEC) == 0) {
        make_way(to);
    }
    return close_taken(real()->dup3(fd, to, flags));
}
