/* SPDX-License-Identifier: BSD-3-Clause */
/* stat, lstat, fstat, fstatat, their 64-bit names, and statx. */
#include "tests/conformance/interpose/family.h"
#include "tests/conformance/interpose/transcript.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "one layout for both names");

static struct stat st;

static void *stat_fresh(void)
{
    memset(&st, 0x5a, sizeof st); /* a field that a call leaves alone shows */
    return &st;
}

static void stat_report(int r, const char *call, const char *path)
{
    tr_ret(r, "%s(%s)", call, tr_q(path));
    if (r == 0) {
        tr_stat(&st);
    }
}

static void stat_by_path(const char *path)
{
    void *s = stat_fresh();
    stat_report(TRY(stat(path, s)), "stat", path);
    s = stat_fresh();
    stat_report(TRY(stat64(path, s)), "stat64", path);
    s = stat_fresh();
    stat_report(TRY(lstat(path, s)), "lstat", path);
    s = stat_fresh();
    stat_report(TRY(lstat64(path, s)), "lstat64", path);
}

static void stat_by_dirfd(int dirfd, const char *path)
{
    static const int flags[] = {
        0,
        AT_SYMLINK_NOFOLLOW,
        AT_NO_AUTOMOUNT,
        AT_EMPTY_PATH,
        AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH,
        AT_REMOVEDIR, /* no flag of this call */
        0x40000000,
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        tr_line("  flags %x, dirfd %s", flags[i], dirfd == AT_FDCWD ? "cwd" : "tree");
        void *s = stat_fresh();
        stat_report(TRY(fstatat(dirfd, path, s, flags[i])), "fstatat", path);
        s = stat_fresh();
        stat_report(TRY(fstatat64(dirfd, path, s, flags[i])), "fstatat64", path);
    }
}

static void stat_by_fd(int fd, const char *path)
{
    void *s = stat_fresh();
    stat_report(TRY(fstat(fd, s)), "fstat", path);
    s = stat_fresh();
    stat_report(TRY(fstat64(fd, s)), "fstat64", path);
    s = stat_fresh();
    stat_report(TRY(fstatat(fd, "", s, AT_EMPTY_PATH)), "fstatat empty", path);
}

static void open_and_fstat(const char *path)
{
    static const int flags[] = {O_RDONLY | O_NONBLOCK, O_PATH, O_PATH | O_NOFOLLOW};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        int fd = TRY(open(path, flags[i] | O_CLOEXEC));
        tr_fd(fd, "open(%s, %x)", tr_q(path), flags[i]);
        if (fd < 0) {
            continue;
        }
        stat_by_fd(fd, path);
        close(fd);
    }
}

static void by_statx(int dirfd, const char *path)
{
    static const struct {
        int flags;
        unsigned mask;
    } args[] = {
        {0, STATX_BASIC_STATS},
        {0, STATX_BASIC_STATS | STATX_BTIME},
        {AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS},
        {AT_STATX_DONT_SYNC, STATX_BASIC_STATS},
        {AT_STATX_FORCE_SYNC, STATX_BASIC_STATS},
        {AT_STATX_DONT_SYNC | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS},
        {AT_EMPTY_PATH, STATX_SIZE},
        {0, 0},
        {0, STATX__RESERVED},
        {0x40000000, STATX_BASIC_STATS},
    };
    for (size_t i = 0; i < sizeof args / sizeof *args; i++) {
        struct statx sx;
        memset(&sx, 0, sizeof sx);
        int r = TRY(statx(dirfd, path, args[i].flags, args[i].mask, &sx));
        tr_ret(r, "statx(%s, %s, %x, %x)", dirfd == AT_FDCWD ? "cwd" : "tree", tr_q(path),
               args[i].flags, args[i].mask);
        if (r == 0) {
            tr_statx(&sx);
        }
    }
}

static void bad_arguments(void)
{
    void *s = stat_fresh();
    stat_report(TRY(fstat(-1, s)), "fstat -1", "");
    stat_report(TRY(fstat(9999, s)), "fstat 9999", "");
    stat_report(TRY(fstatat(-1, "pkg", s, 0)), "fstatat -1", "pkg");
    stat_report(TRY(fstatat(9999, "pkg", s, 0)), "fstatat 9999", "pkg");
    stat_report(TRY(fstatat(AT_FDCWD, "", s, AT_EMPTY_PATH)), "fstatat cwd", "");
    int file = TRY(open("pkg/mod.py", O_RDONLY));
    stat_report(TRY(fstatat(file, "x", s, 0)), "fstatat file", "x");
    stat_report(TRY(fstatat(file, "/", s, 0)), "fstatat file", "/");
    close(file);
}

void family_run(const struct family *f)
{
    for (size_t i = 0; i < f->n_paths; i++) {
        const char *rel = f->paths[i], *abs = family_abs(f, rel);
        stat_by_path(rel);
        stat_by_path(abs);
        stat_by_dirfd(AT_FDCWD, rel);
        stat_by_dirfd(f->dirfd, rel);
        stat_by_dirfd(f->dirfd, abs);
        by_statx(AT_FDCWD, abs);
        by_statx(f->dirfd, rel);
        open_and_fstat(rel);
        open_and_fstat(abs);
    }
    bad_arguments();
}
