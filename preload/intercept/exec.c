/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exec.c - a rank that calls exec leaves the service, because the new program will not close it and
 * may know nothing of it. The other ranks are told before the call, while MPI can still be used.
 *
 * A child (after fork or vfork) is not a rank: nothing happens there. Nothing happens either before
 * an exec that will certainly fail.
 */
#include "intercept/real.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs_view.h"
#include "base/guard.h"
#include "base/path.h"
#include "base/sys.h"
#include "process/exec_target.h"
#include "service/service.h"

extern char **environ;

static void exec_leave(const char *path, char *const environment[])
{
    int error = errno;
    int state;

    fi_enter();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state); /* exec is not a cancellation point */
    if (exec_target_exists(path)) {
        /* with another mount view the target finds no cache through which to leave a message */
        service_before_exec(!fs_view_has_changed() && exec_target_is_ours(path, environment),
                            environment);
    }
    pthread_setcancelstate(state, &state);
    fi_leave();
    errno = error;
}

/* Finds the program as execvp(3) does. The path is not on the stack, because a crash handler that
 * calls exec has a small one. */
static void leave_searched(const char *name, char *const environment[])
{
    char *path = sys_mmap(FI_PATH_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (path != NULL) {
        if (exec_target_search(name, path, FI_PATH_MAX)) {
            exec_leave(path, environment);
        }
        sys_munmap(path, FI_PATH_MAX);
    }
}

static inline bool is_a_rank(void)
{
    return !fi_inside() && service_is_here();
}

/* Makes a path of the arguments of execveat(2). NULL is refused by the kernel. */
static __attribute__((noinline)) void leave_at(int dirfd, const char *name,
                                               char *const environment[])
{
    char path[FI_PATH_MAX];
    int n;

    if (name == NULL) {
        return;
    }
    if (name[0] == '/' || dirfd == AT_FDCWD) {
        exec_leave(name, environment);
        return;
    }
    n = snprintf(path, sizeof path, "/proc/self/fd/%d%s%s", dirfd, name[0] == '\0' ? "" : "/",
                 name);
    if (n > 0 && n < (int)sizeof path) {
        exec_leave(path, environment);
    }
}

FI_EXPORT int execve(const char *path, char *const argv[], char *const environment[])
{
    if (is_a_rank()) {
        exec_leave(path, environment);
    }
    return real()->execve(path, argv, environment);
}

FI_EXPORT int execv(const char *path, char *const argv[])
{
    if (is_a_rank()) {
        exec_leave(path, environ);
    }
    return real()->execv(path, argv);
}

FI_EXPORT int execvp(const char *name, char *const argv[])
{
    if (is_a_rank()) {
        leave_searched(name, environ);
    }
    return real()->execvp(name, argv);
}

FI_EXPORT int execvpe(const char *name, char *const argv[], char *const environment[])
{
    if (is_a_rank()) {
        leave_searched(name, environment);
    }
    return real()->execvpe(name, argv, environment);
}

FI_EXPORT int fexecve(int fd, char *const argv[], char *const environment[])
{
    if (is_a_rank()) {
        leave_at(fd, "", environment);
    }
    return real()->fexecve(fd, argv, environment);
}

FI_EXPORT int execveat(int dirfd, const char *name, char *const argv[], char *const environment[],
                       int flags)
{
    if (is_a_rank()) {
        leave_at(dirfd, name, environment);
    }
    return real()->execveat(dirfd, name, argv, environment, flags);
}

/* --- execl(3) and its kin ---
 *
 * The arguments end with a NULL, and with execle(3) the environment follows it. */

static size_t exec_count(const char *first, va_list *list)
{
    size_t n = 0;

    for (const char *a = first; a != NULL; a = va_arg(*list, const char *)) {
        n++;
    }
    return n;
}

static void exec_collect(const char *first, va_list *list, char **argv)
{
    for (const char *a = first; a != NULL; a = va_arg(*list, const char *)) {
        *argv++ = (char *)a;
    }
    *argv = NULL;
}

/* On the stack: the caller may be a child of vfork, which shares the heap. */
#define TAKE_ARGUMENTS(argv, first, list)                                                          \
    va_start(list, first);                                                                         \
    argv = __builtin_alloca((exec_count(first, &(list)) + 1) * sizeof *(argv));                    \
    va_end(list);                                                                                  \
    va_start(list, first);                                                                         \
    exec_collect(first, &(list), argv)

FI_EXPORT int execl(const char *path, const char *first, ...)
{
    va_list list;
    char **argv;

    TAKE_ARGUMENTS(argv, first, list);
    va_end(list);
    if (is_a_rank()) {
        exec_leave(path, environ);
    }
    return real()->execv(path, argv);
}

FI_EXPORT int execle(const char *path, const char *first, ...)
{
    va_list list;
    char **argv;
    char **environment;

    TAKE_ARGUMENTS(argv, first, list);
    environment = va_arg(list, char **);
    va_end(list);
    if (is_a_rank()) {
        exec_leave(path, environment);
    }
    return real()->execve(path, argv, environment);
}

FI_EXPORT int execlp(const char *name, const char *first, ...)
{
    va_list list;
    char **argv;

    TAKE_ARGUMENTS(argv, first, list);
    va_end(list);
    if (is_a_rank()) {
        leave_searched(name, environ);
    }
    return real()->execvp(name, argv);
}
