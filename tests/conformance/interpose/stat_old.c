/* SPDX-License-Identifier: BSD-3-Clause */
/* __xstat, __lxstat, __fxstat, __fxstatat and their 64-bit names: what programs linked against
 * glibc before 2.33 call. New headers do not declare them, so they are looked up by name. */
#include "tests/conformance/interpose/family.h"
#include "tests/conformance/interpose/transcript.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

typedef int path_call(int ver, const char *path, struct stat *st);
typedef int fd_call(int ver, int fd, struct stat *st);
typedef int at_call(int ver, int dirfd, const char *path, struct stat *st, int flags);

static const int versions[] = {1, 0, 99};

static void stat_old_by_path(const char *name, const char *path)
{
    path_call *call = (path_call *)family_symbol(name);
    for (size_t v = 0; v < 3; v++) {
        struct stat st;
        memset(&st, 0x5a, sizeof st);
        int r = TRY(call(versions[v], path, &st));
        tr_ret(r, "%s(%d, %s)", name, versions[v], tr_q(path));
        if (r == 0) {
            tr_stat(&st);
        }
    }
}

static void stat_old_by_fd(const char *name, const char *path)
{
    fd_call *call = (fd_call *)family_symbol(name);
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    for (size_t v = 0; v < 3; v++) {
        struct stat st;
        memset(&st, 0x5a, sizeof st);
        int r = TRY(call(versions[v], fd, &st));
        tr_ret(r, "%s(%d, %s)", name, versions[v], tr_q(path));
        if (r == 0) {
            tr_stat(&st);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void stat_old_by_dirfd(const char *name, int dirfd, const char *path, int flags)
{
    at_call *call = (at_call *)family_symbol(name);
    for (size_t v = 0; v < 3; v++) {
        struct stat st;
        memset(&st, 0x5a, sizeof st);
        int r = TRY(call(versions[v], dirfd, path, &st, flags));
        tr_ret(r, "%s(%d, %s, %x)", name, versions[v], tr_q(path), flags);
        if (r == 0) {
            tr_stat(&st);
        }
    }
}

void family_run(const struct family *f)
{
    for (size_t i = 0; i < f->n_paths; i++) {
        const char *rel = f->paths[i], *abs = family_abs(f, rel);
        stat_old_by_path("__xstat", rel);
        stat_old_by_path("__xstat64", abs);
        stat_old_by_path("__lxstat", abs);
        stat_old_by_path("__lxstat64", rel);
        stat_old_by_fd("__fxstat", abs);
        stat_old_by_fd("__fxstat64", rel);
        stat_old_by_dirfd("__fxstatat", f->dirfd, rel, 0);
        stat_old_by_dirfd("__fxstatat64", AT_FDCWD, rel, AT_SYMLINK_NOFOLLOW);
        stat_old_by_dirfd("__fxstatat64", f->dirfd, abs, AT_EMPTY_PATH);
        stat_old_by_dirfd("__fxstatat", f->dirfd, rel, 0x40000000);
    }
}
