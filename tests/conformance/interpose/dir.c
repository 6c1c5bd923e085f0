/* SPDX-License-Identifier: BSD-3-Clause */
/* opendir, fdopendir, readdir, readdir64, readdir_r, closedir, rewinddir, seekdir, telldir, dirfd,
 * getdents64, scandir, scandirat, and directories as starting points of other calls. */
#include "tests/conformance/interpose/family.h"
#include "tests/conformance/interpose/transcript.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int readdir_r_call(DIR *dir, struct dirent *entry, struct dirent **result);

static int accept_all(const struct dirent *e)
{
    return e != NULL;
}

static int accept_dots(const struct dirent *e)
{
    return e->d_name[0] == '.';
}

static int accept_all64(const struct dirent64 *e)
{
    return e != NULL;
}

static void dir_list(DIR *d, const char *what)
{
    struct dirent *e;
    while ((e = TRY(readdir(d)))) {
        tr_name_add(e->d_name, e->d_ino, e->d_type);
    }
    tr_line("    readdir ends with %s", tr_errno(errno));
    tr_names(what);
}

static void list64(DIR *d, const char *what)
{
    struct dirent64 *e;
    while ((e = TRY(readdir64(d)))) {
        tr_name_add(e->d_name, e->d_ino, e->d_type);
    }
    tr_line("    readdir64 ends with %s", tr_errno(errno));
    tr_names(what);
}

static void list_r(DIR *d, const char *name)
{
    readdir_r_call *call = (readdir_r_call *)family_symbol(name);
    struct dirent entry, *e;
    int r;
    while ((r = call(d, &entry, &e)) == 0 && e) {
        tr_name_add(e->d_name, e->d_ino, e->d_type);
    }
    tr_line("    %s ends with %d", name, r);
    tr_names(name);
}

/* The n-th entry must come again after seekdir to where it was, and after rewinddir. */
static void positions(DIR *d)
{
    char name[256] = "";
    long at = -1;
    int same = 0, n = 0;
    struct dirent *e;
    rewinddir(d);
    for (; n < 7; n++) {
        at = telldir(d);
        e = readdir(d);
        if (!e) {
            break;
        }
        strcpy(name, e->d_name);
    }
    while (readdir(d)) {
        continue;
    }
    if (n == 7) {
        seekdir(d, at);
        e = readdir(d);
        same = e && strcmp(e->d_name, name) == 0;
    }
    tr_line("    seekdir after %d entries finds the same: %d", n, same);
    rewinddir(d);
}

/* The descriptor below the stream: a real directory descriptor, usable with every *at call. */
static void as_descriptor(int fd)
{
    struct stat st;
    int r = TRY(fstat(fd, &st));
    tr_ret(r, "    fstat of dirfd");
    if (r == 0) {
        tr_stat(&st);
    }
    r = TRY(fstatat(fd, "sub", &st, AT_SYMLINK_NOFOLLOW));
    tr_ret(r, "    fstatat dirfd, sub");
    if (r == 0) {
        tr_stat(&st);
    }
    int file = TRY(openat(fd, "mod.py", O_RDONLY));
    tr_fd(file, "    openat dirfd, mod.py");
    if (file >= 0) {
        family_read_all(file);
        close(file);
    }
    tr_ret(TRY(faccessat(fd, "data.bin", R_OK, 0)), "    faccessat dirfd, data.bin");
    tr_ret(TRY(faccessat(fd, "../no-such", R_OK, 0)), "    faccessat dirfd, ../no-such");
    tr_ret(TRY(fcntl(fd, F_GETFL)), "    F_GETFL");
    tr_ret(TRY(fcntl(fd, F_GETFD)), "    F_GETFD");
}

static void go_there(const struct family *f, int fd)
{
    struct stat st;
    int r = TRY(fchdir(fd));
    tr_ret(r, "    fchdir");
    if (r != 0) {
        return;
    }
    char *cwd = getcwd(NULL, 0);
    tr_line("    getcwd %s", tr_q(cwd));
    free(cwd);
    r = TRY(stat("mod.py", &st));
    tr_ret(r, "    stat mod.py from there");
    if (r == 0) {
        tr_stat(&st);
    }
    tr_ret(TRY(access("../pkg", F_OK)), "    access ../pkg from there");
    if (chdir(f->tree) != 0) {
        abort();
    }
}

static void with_opendir(const struct family *f, const char *path)
{
    DIR *d = TRY(opendir(path));
    tr_ptr(d, "opendir(%s)", tr_q(path));
    if (!d) {
        return;
    }
    dir_list(d, "readdir");
    rewinddir(d);
    list64(d, "readdir64");
    rewinddir(d);
    list_r(d, "readdir_r");
    rewinddir(d);
    list_r(d, "readdir64_r");
    positions(d);
    as_descriptor(dirfd(d));
    go_there(f, dirfd(d));
    tr_ret(TRY(closedir(d)), "    closedir");
}

static void with_fdopendir(const struct family *f, const char *path)
{
    static const int flags[] = {O_RDONLY | O_DIRECTORY, O_RDONLY | O_NONBLOCK, O_PATH};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        int fd = TRY(openat(f->dirfd, path, flags[i]));
        tr_fd(fd, "openat(%s, %x)", tr_q(path), flags[i]);
        if (fd < 0) {
            continue;
        }
        as_descriptor(fd);
        go_there(f, fd);
        DIR *d = TRY(fdopendir(fd));
        tr_ptr(d, "  fdopendir");
        if (!d) {
            close(fd);
            continue;
        }
        tr_line("    dirfd the same: %d", dirfd(d) == fd);
        dir_list(d, "readdir");
        positions(d);
        tr_ret(TRY(closedir(d)), "    closedir");
        tr_closed(fd);
    }
}

static void with_getdents(const char *path)
{
    static char buf[32768] __attribute__((aligned(8)));
    int fd = TRY(open(path, O_RDONLY | O_DIRECTORY));
    ssize_t n;
    if (fd < 0) {
        return;
    }
    while ((n = TRY(getdents64(fd, buf, sizeof buf))) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *e = (const struct dirent64 *)(buf + at);
            tr_name_add(e->d_name, e->d_ino, e->d_type);
            at += e->d_reclen;
        }
    }
    tr_ret(n, "getdents64(%s)", tr_q(path));
    tr_names("getdents64");
    close(fd);
}

static void scanned(int n, struct dirent **e, const char *call, const char *path)
{
    tr_ret(n < 0 ? n : (errno = 0, n), "%s(%s)", call,
           tr_q(path)); /* errno is compared after failures */
    for (int i = 0; i < n; i++) {
        tr_line("      %s type=%u ino=%lu", tr_q(e[i]->d_name), e[i]->d_type,
                (unsigned long)e[i]->d_ino);
        free(e[i]);
    }
    if (n >= 0) {
        free(e);
    }
}

static void with_scandir(const struct family *f, const char *path)
{
    struct dirent **e = NULL;
    struct dirent64 **e64 = NULL;
    int n = TRY(scandir(path, &e, NULL, alphasort));
    scanned(n, e, "scandir", path);
    n = TRY(scandir(path, &e, accept_dots, alphasort));
    scanned(n, e, "scandir dots", path);
    n = TRY(scandirat(f->dirfd, path, &e, accept_all, versionsort));
    scanned(n, e, "scandirat", path);
    n = TRY(scandir64(path, &e64, NULL, alphasort64));
    scanned(n, (struct dirent **)e64, "scandir64", path);
    n = TRY(scandirat64(f->dirfd, path, &e64, accept_all64, versionsort64));
    scanned(n, (struct dirent **)e64, "scandirat64", path);
}

void family_run(const struct family *f)
{
    for (size_t i = 0; i < f->n_paths; i++) {
        const char *path = f->paths[i];
        with_opendir(f, path);
        with_opendir(f, family_abs(f, path));
        with_fdopendir(f, path);
        with_getdents(path);
        with_scandir(f, path);
    }
    tr_ptr(TRY(fdopendir(-1)), "fdopendir -1");
    tr_ptr(TRY(fdopendir(9999)), "fdopendir 9999");
    struct dirent **e = NULL;
    int n = TRY(scandirat(9999, "pkg", &e, NULL, alphasort));
    scanned(n, e, "scandirat 9999", "pkg");
}
