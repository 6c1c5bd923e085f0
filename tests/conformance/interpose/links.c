/* SPDX-License-Identifier: BSD-3-Clause */
/* readlink, readlinkat, their checked names, realpath, __realpath_chk, canonicalize_file_name. */
#include "tests/conformance/interpose/family.h"
#include "tests/conformance/interpose/transcript.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef ssize_t readlink_chk_call(const char *path, char *buf, size_t len, size_t buflen);
typedef ssize_t readlinkat_chk_call(int fd, const char *path, char *buf, size_t len, size_t buflen);
typedef char *realpath_chk_call(const char *path, char *buf, size_t buflen);

static char buf[PATH_MAX + 1];

static char *links_fresh(void)
{
    memset(buf, 0x5a, sizeof buf - 1);
    buf[PATH_MAX] = '\0';
    return buf;
}

/* The whole buffer is printed: a byte written behind the answer shows. */
static void links_report(ssize_t n, const char *call, const char *path, size_t size)
{
    tr_ret(n, "%s(%s, %zd)", call, tr_q(path), (ssize_t)size);
    if (n >= 0) {
        tr_bytes("buffer", buf, sizeof buf);
    }
}

static void by_readlink(int dirfd, const char *path)
{
    static const size_t sizes[] = {0, 1, 3, 10, 255, PATH_MAX, (size_t)-1};
    readlink_chk_call *chk = (readlink_chk_call *)family_symbol("__readlink_chk");
    readlinkat_chk_call *at_chk = (readlinkat_chk_call *)family_symbol("__readlinkat_chk");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        volatile size_t n = sizes[i]; /* volatile: the compiler must not check the size */
        links_report(TRY(readlink(path, links_fresh(), n)), "readlink", path, n);
        links_report(TRY(readlinkat(dirfd, path, links_fresh(), n)), "readlinkat", path, n);
        if (n > PATH_MAX) {
            continue;
        }
        links_report(TRY(chk(path, links_fresh(), n, PATH_MAX)), "__readlink_chk", path, n);
        links_report(TRY(at_chk(dirfd, path, links_fresh(), n, PATH_MAX)), "__readlinkat_chk", path,
                     n);
    }
}

/* Of a failed realpath, glibc documents the buffer for two errors only. */
static void resolved(const char *r, const char *call, const char *path)
{
    int err = errno;
    tr_ptr(r, "%s(%s)", call, tr_q(path));
    if (r) {
        tr_line("    -> %s", tr_q(r));
    } else if (err == ENOENT || err == EACCES) {
        tr_line("    stopped at %s", tr_q(buf));
    }
}

static void by_realpath(const char *path)
{
    realpath_chk_call *chk = (realpath_chk_call *)family_symbol("__realpath_chk");
    resolved(TRY(realpath(path, links_fresh())), "realpath", path);
    resolved(TRY(chk(path, links_fresh(), PATH_MAX)), "__realpath_chk", path);
    buf[0] = '\0';
    char *own = TRY(realpath(path, NULL));
    resolved(own, "realpath own", path);
    free(own);
    own = TRY(canonicalize_file_name(path));
    resolved(own, "canonicalize_file_name", path);
    free(own);
}

/* An O_PATH descriptor of a link, and the empty path. */
static void by_empty_path(const char *path)
{
    int fd = TRY(open(path, O_PATH | O_NOFOLLOW));
    tr_fd(fd, "open(%s, O_PATH|O_NOFOLLOW)", tr_q(path));
    if (fd < 0) {
        return;
    }
    links_report(TRY(readlinkat(fd, "", links_fresh(), PATH_MAX)), "readlinkat empty", path,
                 PATH_MAX);
    close(fd);
}

void family_run(const struct family *f)
{
    for (size_t i = 0; i < f->n_paths; i++) {
        const char *rel = f->paths[i], *abs = family_abs(f, rel);
        by_readlink(f->dirfd, rel);
        by_readlink(AT_FDCWD, abs);
        by_realpath(rel);
        by_realpath(abs);
        by_empty_path(rel);
        by_empty_path(abs);
    }
    links_report(TRY(readlinkat(9999, "link-good", links_fresh(), 10)), "readlinkat 9999", "", 10);
    char *none = NULL;
    tr_ptr(TRY(realpath(*(char *volatile *)&none, NULL)), "realpath(NULL)");
}
