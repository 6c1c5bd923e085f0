/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that look at names: the stat family, access, readlink, realpath, dlopen. */
#include "tests/conformance/differential/sequence.h"
#include "tests/conformance/interpose/transcript.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Not declared by glibc since 2.33, still exported for old programs. */
typedef int old_stat(int ver, const char *path, struct stat *st);
typedef int old_fstat(int ver, int fd, struct stat *st);
typedef int old_fstatat(int ver, int dirfd, const char *path, struct stat *st, int flags);

char *__realpath_chk(const char *path, char *buf, size_t size);

static struct stat st;
static char text[PATH_MAX + 1];

static void *symbol(const char *name)
{
    void *sym = dlsym(RTLD_DEFAULT, name);
    if (!sym) {
        abort();
    }
    return sym;
}

static void stat_result(int r, const void *buf, const char *call, const char *path)
{
    tr_ret(r, "%s(%s, %s)", call, tr_q(path), buf == &st ? "buf" : "bad");
    if (r == 0 && buf == &st) {
        tr_stat(&st);
    }
}

static void run_stat(struct sequence *s, struct rng *r)
{
    const char *path = arg_path(s, r);
    void *buf = arg_buffer(s, r, &st);
    memset(&st, 0x5a, sizeof st);
    switch (rng_below(r, 8)) {
    case 0:
        stat_result(TRY(stat(path, buf)), buf, "stat", path);
        break;
    case 1:
        stat_result(TRY(stat64(path, buf)), buf, "stat64", path);
        break;
    case 2:
        stat_result(TRY(lstat(path, buf)), buf, "lstat", path);
        break;
    case 3:
        stat_result(TRY(lstat64(path, buf)), buf, "lstat64", path);
        break;
    case 4:
        stat_result(TRY(((old_stat *)symbol("__xstat"))(1, path, buf)), buf, "__xstat", path);
        break;
    case 5:
        stat_result(TRY(((old_stat *)symbol("__xstat64"))(1, path, buf)), buf, "__xstat64", path);
        break;
    case 6:
        stat_result(TRY(((old_stat *)symbol("__lxstat"))(1, path, buf)), buf, "__lxstat", path);
        break;
    default:
        stat_result(TRY(((old_stat *)symbol("__lxstat64"))(1, path, buf)), buf, "__lxstat64", path);
    }
}

static void run_fstatat(struct sequence *s, struct rng *r)
{
    struct where w = arg_where(s, r);
    const char *path = arg_path(s, r);
    int flags = arg_at_flags(r);
    void *buf = arg_buffer(s, r, &st);
    memset(&st, 0x5a, sizeof st);
    tr_line("  from %s, flags %x", w.label, flags);
    switch (rng_below(r, 3)) {
    case 0:
        stat_result(TRY(fstatat(w.fd, path, buf, flags)), buf, "fstatat", path);
        break;
    case 1:
        stat_result(TRY(fstatat64(w.fd, path, buf, flags)), buf, "fstatat64", path);
        break;
    default:
        stat_result(TRY(((old_fstatat *)symbol("__fxstatat64"))(1, w.fd, path, buf, flags)), buf,
                    "__fxstatat64", path);
    }
}

static void run_fstat(struct sequence *s, struct rng *r)
{
    unsigned slot = arg_slot(r);
    void *buf = arg_buffer(s, r, &st);
    memset(&st, 0x5a, sizeof st);
    tr_line("  slot %u", slot);
    switch (rng_below(r, 3)) {
    case 0:
        stat_result(TRY(fstat(s->fds[slot], buf)), buf, "fstat", "");
        break;
    case 1:
        stat_result(TRY(fstat64(s->fds[slot], buf)), buf, "fstat64", "");
        break;
    default:
        stat_result(TRY(((old_fstat *)symbol("__fxstat"))(1, s->fds[slot], buf)), buf, "__fxstat",
                    "");
    }
}

static void run_statx(struct sequence *s, struct rng *r)
{
    static const unsigned masks[] = {STATX_BASIC_STATS, STATX_BASIC_STATS | STATX_BTIME, STATX_SIZE,
                                     0, STATX__RESERVED};
    struct where w = arg_where(s, r);
    const char *path = arg_path(s, r);
    struct statx sx = {0};
    void *buf = arg_buffer(s, r, &sx);
    int flags = arg_at_flags(r);
    unsigned mask = masks[rng_below(r, 5)];
    int ret = TRY(statx(w.fd, path, flags, mask, buf));
    tr_ret(ret, "statx(%s, %s, %x, %x)", w.label, tr_q(path), flags, mask);
    if (ret == 0 && buf == &sx) {
        tr_statx(&sx);
    }
}

static void run_access(struct sequence *s, struct rng *r)
{
    static const int modes[] = {F_OK, F_OK, R_OK, W_OK, X_OK, R_OK | X_OK, 7, 8, -1};
    struct where w = arg_where(s, r);
    const char *path = arg_path(s, r);
    int flags = rng_percent(r, 50) ? AT_EACCESS : arg_at_flags(r);
    int mode = modes[rng_below(r, 9)];
    switch (rng_below(r, 4)) {
    case 0:
        tr_ret(TRY(access(path, mode)), "access(%s, %d)", tr_q(path), mode);
        break;
    case 1:
        tr_ret(TRY(eaccess(path, mode)), "eaccess(%s, %d)", tr_q(path), mode);
        break;
    case 2:
        tr_ret(TRY(faccessat(w.fd, path, mode, 0)), "faccessat(%s, %s, %d)", w.label, tr_q(path),
               mode);
        break;
    default:
        tr_ret(TRY(faccessat(w.fd, path, mode, flags)), "faccessat(%s, %s, %d, %x)", w.label,
               tr_q(path), mode, flags);
    }
}

static void run_readlink(struct sequence *s, struct rng *r)
{
    static const size_t sizes[] = {0, 1, 3, 8, 255, PATH_MAX, PATH_MAX, (size_t)-1};
    struct where w = arg_where(s, r);
    const char *path = arg_path(s, r);
    volatile size_t size = sizes[rng_below(r, 8)]; /* volatile: the compiler must not check it */
    char *buf = arg_buffer(s, r, text);
    memset(text, 0x5a, PATH_MAX);
    ssize_t n;
    if (rng_percent(r, 50)) {
        n = TRY(readlink(path, buf, size));
        tr_ret(n, "readlink(%s, %s, %zd)", tr_q(path), buf == text ? "buf" : "bad", (ssize_t)size);
    } else {
        n = TRY(readlinkat(w.fd, path, buf, size));
        tr_ret(n, "readlinkat(%s, %s, %s, %zd)", w.label, tr_q(path), buf == text ? "buf" : "bad",
               (ssize_t)size);
    }
    if (n >= 0) {
        tr_bytes("buffer", text, PATH_MAX);
    }
}

static void run_realpath(struct sequence *s, struct rng *r)
{
    const char *path = arg_path(s, r);
    if (path == BAD_PATH) {
        return; /* glibc itself reads it */
    }
    unsigned way = rng_below(r, 4);
    char *given = way < 2 ? text : NULL, *got;
    memset(text, 0, sizeof text);
    if (way == 0) {
        got = TRY(realpath(path, text));
    } else if (way == 1) {
        got = TRY(__realpath_chk(path, text, sizeof text));
    } else if (way == 2) {
        got = TRY(realpath(path, NULL));
    } else {
        got = TRY(canonicalize_file_name(path));
    }
    int err = errno;
    tr_ptr(got, "realpath(%s) way %u", tr_q(path), way);
    if (got) {
        tr_line("    -> %s", tr_q(got));
    } else if (given && (err == ENOENT || err == EACCES)) {
        tr_line("    stopped at %s", tr_q(given));
    }
    if (!given) {
        free(got);
    }
}

static void run_dlopen(struct sequence *s, struct rng *r)
{
    static const int flags[] = {RTLD_NOW, RTLD_LAZY, RTLD_NOW | RTLD_NOLOAD, RTLD_NOW | RTLD_GLOBAL,
                                0};
    const char *path = arg_path(s, r);
    unsigned slot = arg_slot(r);
    int f = flags[rng_below(r, 5)];
    if (path == BAD_PATH || path == NULL || !strchr(path, '/')) {
        return; /* a bare name is searched in the machine's own directories */
    }
    void *h = dlopen(path, f);
    tr_line("dlopen(%s, %x) = %s", tr_q(path), f, h ? "ok" : tr_q(dlerror()));
    if (!h) {
        return;
    }
    struct link_map *map = NULL;
    Dl_info info = {0};
    void *sym = dlsym(h, "leaf_value");
    if (sym && dladdr(sym, &info)) {
        tr_line("    dladdr %s", tr_q(info.dli_fname));
    }
    if (dlinfo(h, RTLD_DI_LINKMAP, &map) == 0) {
        tr_line("    link map %s", tr_q(map->l_name));
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (s->handles[i] == h) {
            tr_line("    the handle of slot %u", i);
        }
    }
    if (s->handles[slot]) {
        dlclose(s->handles[slot]);
    }
    s->handles[slot] = h;
}

const struct call calls_look[] = {
    {"stat", 180, run_stat},        {"fstatat", 100, run_fstatat}, {"fstat", 60, run_fstat},
    {"statx", 40, run_statx},       {"access", 70, run_access},    {"readlink", 60, run_readlink},
    {"realpath", 40, run_realpath}, {"dlopen", 12, run_dlopen},    {NULL, 0, NULL},
};
