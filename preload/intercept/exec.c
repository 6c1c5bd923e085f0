/*
 * exec.c - a rank that calls exec leaves the service: its new program will not close it, and may
 * know nothing of it. The others hear of it before, while there is an MPI that can tell them.
 *
 * A child, after fork or vfork, is no rank: nothing happens there. Nor before an exec of which can
 * be known that it fails.
 */
#include "intercept/real.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#include "base/guard.h"
#include "base/path.h"
#include "service/service.h"
#include "successor.h"

extern char **environ;

static void leave(const char *name, bool search, char *const environment[])
{
    char path[FI_PATH_MAX];
    int error = errno;

    fi_enter();
    if (search ? successor_search(name, path, sizeof path) : successor_exists(name)) {
        service_before_exec(successor_is_ours(search ? path : name, environment));
    }
    fi_leave();
    errno = error;
}

static inline bool is_a_rank(void)
{
    return !fi_inside() && service_is_here();
}

static int exec_file(const char *path, char *const argv[], char *const environment[])
{
    if (is_a_rank()) {
        leave(path, false, environment);
    }
    return real()->execve(path, argv, environment);
}

static int exec_searched(const char *name, char *const argv[], char *const environment[])
{
    if (is_a_rank()) {
        leave(name, true, environment);
    }
    return real()->execvpe(name, argv, environment);
}

FI_EXPORT int execve(const char *path, char *const argv[], char *const environment[])
{
    return exec_file(path, argv, environment);
}

FI_EXPORT int execv(const char *path, char *const argv[])
{
    return exec_file(path, argv, environ);
}

FI_EXPORT int execvp(const char *name, char *const argv[])
{
    return exec_searched(name, argv, environ);
}

FI_EXPORT int execvpe(const char *name, char *const argv[], char *const environment[])
{
    return exec_searched(name, argv, environment);
}

FI_EXPORT int fexecve(int fd, char *const argv[], char *const environment[])
{
    char path[64];

    if (is_a_rank()) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        leave(path, false, environment);
    }
    return real()->fexecve(fd, argv, environment);
}

FI_EXPORT int execveat(int dirfd, const char *name, char *const argv[], char *const environment[],
                       int flags)
{
    char path[FI_PATH_MAX];

    if (is_a_rank()) {
        int n = name[0] == '/' || dirfd == AT_FDCWD
                    ? snprintf(path, sizeof path, "%s", name)
                    : snprintf(path, sizeof path, "/proc/self/fd/%d%s%s", dirfd,
                               name[0] == '\0' ? "" : "/", name);

        if (n > 0 && n < (int)sizeof path) {
            leave(path, false, environment);
        }
    }
    return real()->execveat(dirfd, name, argv, environment, flags);
}

/* --- arguments in a row, ended by a NULL, behind which execle(3) has the environment --- */

static size_t count(const char *first, va_list *list)
{
    size_t n = 0;

    for (const char *a = first; a != NULL; a = va_arg(*list, const char *)) {
        n++;
    }
    return n;
}

static void collect(const char *first, va_list *list, char **argv)
{
    for (const char *a = first; a != NULL; a = va_arg(*list, const char *)) {
        *argv++ = (char *)a;
    }
    *argv = NULL;
}

/* On the stack: the caller may be a child after vfork. */
#define TAKE_ARGUMENTS(argv, first, list)                                                          \
    va_start(list, first);                                                                         \
    argv = __builtin_alloca((count(first, &(list)) + 1) * sizeof *(argv));                         \
    va_end(list);                                                                                  \
    va_start(list, first);                                                                         \
    collect(first, &(list), argv)

FI_EXPORT int execl(const char *path, const char *first, ...)
{
    va_list list;
    char **argv;

    TAKE_ARGUMENTS(argv, first, list);
    va_end(list);
    return exec_file(path, argv, environ);
}

FI_EXPORT int execle(const char *path, const char *first, ...)
{
    va_list list;
    char **argv;
    char **environment;

    TAKE_ARGUMENTS(argv, first, list);
    environment = va_arg(list, char **);
    va_end(list);
    return exec_file(path, argv, environment);
}

FI_EXPORT int execlp(const char *name, const char *first, ...)
{
    va_list list;
    char **argv;

    TAKE_ARGUMENTS(argv, first, list);
    va_end(list);
    return exec_searched(name, argv, environ);
}
