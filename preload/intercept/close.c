/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * close.c - close(2), close_range(2), closefrom(3), dup2(2), dup3(2).
 *
 * A program may close every descriptor that it did not open, and put its own in their places.
 * Protected descriptors (base/protected_fd.h) survive that: closing one fails as if it were not
 * open. If the program puts its own descriptor at such a number, the protected one moves to another
 * number first.
 */
#include "intercept/real.h"

#include <errno.h>
#include <fcntl.h>

#include "base/guard.h"
#include "base/log.h"
#include "base/protected_fd.h"
#include "base/sys.h"
#include "mpi/init.h"
#include "service/service.h"

/* Is this entry still to be protected? If the program uses MPI itself, it may do what it likes with
 * MPI's descriptors. */
static bool is_protected(int entry)
{
    return entry >= 0 && (protected_fd_kind_of(entry) == PROTECTED_OURS ||
                          !(init_program_asked() || init_program_initialized()));
}

/* The entry of a descriptor that must stay open, or -1 if it may be closed. */
static int find_protected(int fd)
{
    int entry = protected_fd_find(fd);

    if (entry >= 0 && fi_inside()) { /* the MPI library closes its own descriptor */
        protected_fd_forget(entry);
        return -1;
    }
    return is_protected(entry) ? entry : -1;
}

/* Must close() report success? Only for the first close of the descriptor that the program has
 * inherited from the launcher. It knows nothing of the others. */
static bool seems_open(int entry)
{
    return protected_fd_kind_of(entry) == PROTECTED_PMI && protected_fd_pretend_closed(entry);
}

FI_EXPORT int close(int fd)
{
    int entry = protected_fd_maybe(fd) ? find_protected(fd) : -1;

    if (entry >= 0) {
        errno = EBADF;
        return seems_open(entry) ? 0 : -1;
    }
    if (fd == STDERR_FILENO && !fi_inside()) {
        log_error_closed();
    }
    return real()->close(fd);
}

/* With flags nothing is closed now (CLOSE_RANGE_CLOEXEC), or for this thread only
 * (CLOSE_RANGE_UNSHARE): the service thread keeps its descriptors. */
FI_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
    int next;

    if (first > last || flags != 0 || fi_inside()) {
        return real()->close_range(first, last, flags);
    }
    if (first <= STDERR_FILENO && last >= STDERR_FILENO) {
        log_error_closed();
    }
    while ((next = protected_fd_next(first)) >= 0 && (unsigned)next <= last) {
        int entry = find_protected(next);
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

/* For kernels without close_range(2), before Linux 5.9. */
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

/* Frees a number that the program is about to use for its own descriptor. */
static void free_number(int fd)
{
    int entry = protected_fd_maybe(fd) ? find_protected(fd) : -1;

    if (entry < 0) {
        return;
    }
    if (protected_fd_kind_of(entry) != PROTECTED_OURS) {
        service_lose_mpi();
    }
    if (protected_fd_find(fd) == entry) {
        protected_fd_move(entry);
    }
}

/* Will dup2() replace a descriptor that may be protected? Not if it is going to fail. */
static bool will_replace(int fd, int to)
{
    return protected_fd_maybe(to) && fd != to && sys_fcntl(fd, F_GETFD, 0) >= 0;
}

static int note_standard_error(int fd)
{
    if (fd == STDERR_FILENO && !fi_inside()) {
        log_error_opened();
    }
    return fd;
}

FI_EXPORT int dup2(int fd, int to)
{
    if (will_replace(fd, to)) {
        free_number(to);
    }
    return note_standard_error(real()->dup2(fd, to));
}

FI_EXPORT int dup3(int fd, int to, int flags)
{
    if (will_replace(fd, to) && (flags & ~O_CLOEXEC) == 0) {
        free_number(to);
    }
    return note_standard_error(real()->dup3(fd, to, flags));
}
