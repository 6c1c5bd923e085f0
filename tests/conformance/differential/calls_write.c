/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that write. Each is made only where the shadow says that it stays on the sequence's ground.
 */
#include "tests/conformance/differential/sequence.h"
#include "tests/conformance/interpose/transcript.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

/* Not declared by glibc since 2.33, still exported for old programs. */
int __xmknod(int ver, const char *path, mode_t mode, dev_t *dev);
int __xmknodat(int ver, int dirfd, const char *path, mode_t mode, dev_t *dev);

/* A look at what a write is about, before it (which fills a cache) and after it (which shows a
 * stale one). */
static void calls_write_look(int dirfd, const char *path)
{
    struct stat st;
    if (!path || path == BAD_PATH) {
        return;
    }
    int ret = TRY(fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW));
    tr_ret(ret, "    look: lstat");
    if (ret == 0) {
        tr_stat(&st);
    }
    if (dirfd != AT_FDCWD) {
        return;
    }
    ret = TRY(stat(path, &st));
    tr_ret(ret, "    look: stat");
    if (ret == 0) {
        tr_stat(&st);
    }
    tr_ret(TRY(access(path, R_OK)), "    look: access");
}

void sequence_look_again(struct sequence *s)
{
    for (unsigned i = 0; i < s->n_written; i++) {
        calls_write_look(s->written[i].fd, s->written[i].path);
    }
    s->n_written = 0;
}

static bool off_ground(struct sequence *s, int from, const char *path)
{
    if (!shadow_permits(s, from, path)) {
        tr_line("(would leave the ground)");
        return true;
    }
    int fd = from == CWD_SLOT ? AT_FDCWD : from < 0 ? -1 : s->fds[from];
    calls_write_look(fd, path);
    s->written[s->n_written].fd = fd;
    s->written[s->n_written++].path = path;
    s->changes++;
    return false;
}

static void run_write(struct sequence *s, struct rng *r)
{
    static const int ways[] = {O_WRONLY, O_RDWR, O_WRONLY | O_APPEND, O_WRONLY | O_TRUNC,
                               O_RDONLY | O_TRUNC};
    struct where w = arg_where(s, r);
    const char *path = arg_path(s, r);
    int flags = ways[rng_below(r, 5)] | (rng_percent(r, 60) ? O_CREAT : 0) |
                (rng_percent(r, 20) ? O_EXCL : 0) | (rng_percent(r, 10) ? O_NOFOLLOW : 0);
    size_t size = rng_below(r, 40);
    if (off_ground(s, w.slot, path)) {
        return;
    }
    int fd = TRY(openat(w.fd, path, flags, 0644));
    tr_fd(fd, "openat(%s, %s, %x)", w.label, tr_q(path), flags);
    if (fd < 0) {
        return;
    }
    tr_ret(TRY(write(fd, "written by the process under test 0123456789", size)), "    write %zu",
           size);
    tr_ret(TRY(close(fd)), "    close");
}

static void run_create(struct sequence *s, struct rng *r)
{
    const char *path = arg_path(s, r);
    bool stream = rng_percent(r, 30);
    if (off_ground(s, CWD_SLOT, path)) {
        return;
    }
    if (stream) {
        FILE *f = TRY(fopen(path, "w"));
        tr_ptr(f, "fopen(%s, w)", tr_q(path));
        if (f) {
            fclose(f);
        }
        return;
    }
    int fd = rng_percent(r, 50) ? TRY(creat(path, 0640)) : TRY(open(path, O_RDWR | O_CREAT, 0600));
    tr_fd(fd, "creat(%s)", tr_q(path));
    if (fd >= 0) {
        close(fd);
    }
}

/* Without a path a stream is opened once more, for writing what it reads. */
static void run_reopen(struct sequence *s, struct rng *r)
{
    static const char *const modes[] = {"r", "w", "a", "r+", "w+", "wx", "q"};
    const char *first = arg_path(s, r), *path = rng_percent(r, 30) ? NULL : arg_path(s, r);
    const char *mode = modes[rng_below(r, 7)];
    bool wide = rng_percent(r, 50);
    if (off_ground(s, CWD_SLOT, path ? path : first)) {
        return;
    }
    FILE *f = TRY(fopen(first, "r"));
    tr_ptr(f, "fopen(%s, r)", tr_q(first));
    if (!f && !(f = fopen("/dev/null", "r"))) {
        abort();
    }
    f = wide ? TRY(freopen64(path, mode, f)) : TRY(freopen(path, mode, f));
    tr_ptr(f, "freopen(%s, %s)", tr_q(path), mode);
    if (!f) {
        return;
    }
    tr_ret(fprintf(f, "by a stream") < 0, "    fprintf");
    tr_ret(fclose(f) != 0, "    fclose");
}

static void run_unlink(struct sequence *s, struct rng *r)
{
    struct where w = arg_where(s, r);
    const char *path = arg_path(s, r);
    int flags = rng_percent(r, 30) ? AT_REMOVEDIR : 0;
    unsigned way = rng_below(r, 4);
    if (off_ground(s, way < 3 ? CWD_SLOT : w.slot, path)) {
        return;
    }
    if (way == 0) {
        tr_ret(TRY(unlink(path)), "unlink(%s)", tr_q(path));
    } else if (way == 1) {
        tr_ret(TRY(rmdir(path)), "rmdir(%s)", tr_q(path));
    } else if (way == 2 && path && path != BAD_PATH) {
        tr_ret(TRY(remove(path)), "remove(%s)", tr_q(path));
    } else if (way == 3) {
        tr_ret(TRY(unlinkat(w.fd, path, flags)), "unlinkat(%s, %s, %x)", w.label, tr_q(path),
               flags);
    }
}

static void run_rename(struct sequence *s, struct rng *r)
{
    static const unsigned flag_sets[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE, 0x80};
    struct where w = arg_where(s, r), v = arg_where(s, r);
    const char *from = arg_path(s, r), *to = arg_path(s, r);
    unsigned way = rng_below(r, 3), flags = flag_sets[rng_below(r, 4)];
    if (way == 0) {
        w.slot = v.slot = CWD_SLOT;
    }
    if (off_ground(s, w.slot, from) || off_ground(s, v.slot, to)) {
        return;
    }
    if (way == 0) {
        tr_ret(TRY(rename(from, to)), "rename(%s, %s)", tr_q(from), tr_q(to));
    } else if (way == 1) {
        tr_ret(TRY(renameat(w.fd, from, v.fd, to)), "renameat(%s, %s, %s, %s)", w.label, tr_q(from),
               v.label, tr_q(to));
    } else {
        tr_ret(TRY(renameat2(w.fd, from, v.fd, to, flags)), "renameat2(%s, %s, %s, %s, %x)",
               w.label, tr_q(from), v.label, tr_q(to), flags);
    }
}

static void run_mkdir(struct sequence *s, struct rng *r)
{
    struct where w = arg_where(s, r);
    const char *path = arg_path(s, r);
    bool at = rng_percent(r, 50);
    if (off_ground(s, at ? w.slot : CWD_SLOT, path)) {
        return;
    }
    if (at) {
        tr_ret(TRY(mkdirat(w.fd, path, 0750)), "mkdirat(%s, %s)", w.label, tr_q(path));
    } else {
        tr_ret(TRY(mkdir(path, 0700)), "mkdir(%s)", tr_q(path));
    }
}

static void run_symlink(struct sequence *s, struct rng *r)
{
    char target[PLAN_PATH];
    struct where w = arg_where(s, r);
    const char *path = arg_path(s, r);
    bool at = rng_percent(r, 50);
    plan_target(&s->plan, r, target, sizeof target);
    if (off_ground(s, at ? w.slot : CWD_SLOT, path)) {
        return;
    }
    if (at) {
        tr_ret(TRY(symlinkat(target, w.fd, path)), "symlinkat(%s, %s, %s)", tr_q(target), w.label,
               tr_q(path));
    } else {
        tr_ret(TRY(symlink(target, path)), "symlink(%s, %s)", tr_q(target), tr_q(path));
    }
}

static void run_link(struct sequence *s, struct rng *r)
{
    struct where w = arg_where(s, r), v = arg_where(s, r);
    const char *from = arg_path(s, r), *to = arg_path(s, r);
    int flags = rng_percent(r, 30) ? AT_SYMLINK_FOLLOW : 0;
    bool at = rng_percent(r, 50);
    if (!at) {
        w.slot = v.slot = CWD_SLOT;
    }
    if (off_ground(s, w.slot, from) || off_ground(s, v.slot, to)) {
        return;
    }
    if (at) {
        tr_ret(TRY(linkat(w.fd, from, v.fd, to, flags)), "linkat(%s, %s, %s, %s, %x)", w.label,
               tr_q(from), v.label, tr_q(to), flags);
    } else {
        tr_ret(TRY(link(from, to)), "link(%s, %s)", tr_q(from), tr_q(to));
    }
}

static int call_mknod(unsigned way, int dirfd, const char *path, mode_t mode)
{
    dev_t none = 0;
    switch (way) {
    case 0:
        return mknod(path, mode, none);
    case 1:
        return __xmknod(0, path, mode, &none);
    case 2:
        return mknodat(dirfd, path, mode, none);
    default:
        return __xmknodat(0, dirfd, path, mode, &none);
    }
}

static void run_mknod(struct sequence *s, struct rng *r)
{
    static const mode_t modes[] = {S_IFSOCK | 0600, S_IFREG | 0640, 0644, S_IFDIR | 0700};
    struct where w = arg_where(s, r);
    const char *path = arg_path(s, r);
    unsigned way = rng_below(r, 4), mode = modes[rng_below(r, 4)];
    if (off_ground(s, way < 2 ? CWD_SLOT : w.slot, path)) {
        return;
    }
    tr_ret(TRY(call_mknod(way, w.fd, path, mode)), "mknod way %u (%s, %s, %o)", way, w.label,
           tr_q(path), mode);
}

/* The name is gone again before anything can open it, and wait for ever. */
static void run_mkfifo(struct sequence *s, struct rng *r)
{
    struct where w = arg_where(s, r);
    const char *path = arg_path(s, r);
    bool at = rng_percent(r, 50);
    if (off_ground(s, at ? w.slot : CWD_SLOT, path)) {
        return;
    }
    int fd = at ? w.fd : AT_FDCWD,
        ret = at ? TRY(mkfifoat(fd, path, 0640)) : TRY(mkfifo(path, 0600));
    tr_ret(ret, "mkfifo(%s, %s)", at ? w.label : "", tr_q(path));
    if (ret != 0) {
        return;
    }
    calls_write_look(fd, path);
    tr_ret(TRY(unlinkat(fd, path, 0)), "    unlink of it");
}

static void run_chmod(struct sequence *s, struct rng *r)
{
    static const unsigned modes[] = {0644, 0600, 0755, 0, 0444, 02755};
    struct where w = arg_where(s, r);
    const char *path = arg_path(s, r);
    unsigned mode = modes[rng_below(r, 6)], way = rng_below(r, 4), slot = arg_slot(r);
    if (way == 3 && !shadow_permits_slot(s, (int)slot)) {
        return;
    }
    if (way < 3 && off_ground(s, way == 2 ? w.slot : CWD_SLOT, path)) {
        return;
    }
    s->changes++;
    if (way == 0) {
        tr_ret(TRY(chmod(path, mode)), "chmod(%s, %o)", tr_q(path), mode);
    } else if (way == 1) {
        tr_ret(TRY(lchmod(path, mode)), "lchmod(%s, %o)", tr_q(path), mode);
    } else if (way == 2) {
        tr_ret(TRY(fchmodat(w.fd, path, mode, 0)), "fchmodat(%s, %s, %o)", w.label, tr_q(path),
               mode);
    } else {
        tr_ret(TRY(fchmod(s->fds[slot], mode)), "fchmod(slot %u, %o)", slot, mode);
    }
}

/* Whoever may not change the owner still takes a file's set-user-ID bit. */
static void run_chown(struct sequence *s, struct rng *r)
{
    static const uid_t ids[] = {(uid_t)-1, (uid_t)-1, 0, 12345, 65534};
    struct where w = arg_where(s, r);
    const char *path = arg_path(s, r);
    uid_t owner = ids[rng_below(r, 5)], group = ids[rng_below(r, 5)];
    unsigned way = rng_below(r, 4), slot = arg_slot(r);
    int flags = arg_at_flags(r);
    if (way == 3 && !shadow_permits_slot(s, (int)slot)) {
        return;
    }
    if (way < 3 && off_ground(s, way == 2 ? w.slot : CWD_SLOT, path)) {
        return;
    }
    s->changes++;
    if (way == 0) {
        tr_ret(TRY(chown(path, owner, group)), "chown(%s, %d, %d)", tr_q(path), owner, group);
    } else if (way == 1) {
        tr_ret(TRY(lchown(path, owner, group)), "lchown(%s, %d, %d)", tr_q(path), owner, group);
    } else if (way == 2) {
        tr_ret(TRY(fchownat(w.fd, path, owner, group, flags)), "fchownat(%s, %s, %d, %d, %x)",
               w.label, tr_q(path), owner, group, flags);
    } else {
        tr_ret(TRY(fchown(s->fds[slot], owner, group)), "fchown(slot %u, %d, %d)", slot, owner,
               group);
    }
}

static int call_times(unsigned way, int dirfd, const char *path, const struct timespec t[2],
                      int flags)
{
    const struct timeval tv[2] = {{t[0].tv_sec, 1}, {t[1].tv_sec, t[1].tv_nsec / 1000}};
    const struct utimbuf tb = {t[0].tv_sec, t[1].tv_sec};
    switch (way) {
    case 0:
        return utime(path, &tb);
    case 1:
        return utimes(path, tv);
    case 2:
        return lutimes(path, tv);
    case 3:
        return futimesat(dirfd, path, tv);
    default:
        return utimensat(dirfd, path, t, flags);
    }
}

static void run_times(struct sequence *s, struct rng *r)
{
    struct timespec t[2] = {{1200000000, 1},
                            {800000000 + rng_below(r, 100000000), rng_below(r, 1000000000)}};
    struct where w = arg_where(s, r);
    const char *path = arg_path(s, r);
    unsigned way = rng_below(r, 6);
    int flags = rng_percent(r, 30) ? AT_SYMLINK_NOFOLLOW : rng_percent(r, 20) ? AT_EMPTY_PATH : 0;
    if (!path ||
        off_ground(s, way < 3 ? CWD_SLOT : w.slot, path)) { /* without a path: run_ftimes */
        return;
    }
    tr_ret(TRY(call_times(way, w.fd, path, t, flags)), "times way %u (%s, %s, %x)", way, w.label,
           tr_q(path), flags);
}

static void run_ftimes(struct sequence *s, struct rng *r)
{
    struct timespec t[2] = {{1200000000, 1},
                            {800000000 + rng_below(r, 100000000), rng_below(r, 1000000000)}};
    const struct timeval tv[2] = {{1200000000, 1}, {t[1].tv_sec, t[1].tv_nsec / 1000}};
    unsigned slot = arg_slot(r), way = rng_below(r, 3);
    if (!shadow_permits_slot(s, (int)slot)) {
        return;
    }
    s->changes++;
    if (way == 0) {
        tr_ret(TRY(futimens(s->fds[slot], t)), "futimens(slot %u)", slot);
    } else if (way == 1) {
        tr_ret(TRY(futimes(s->fds[slot], tv)), "futimes(slot %u)", slot);
    } else {
        tr_ret(TRY(futimesat(s->fds[slot], NULL, tv)), "futimesat(slot %u)", slot);
    }
}

static void run_truncate(struct sequence *s, struct rng *r)
{
    const char *path = arg_path(s, r);
    off_t size = (off_t)rng_below(r, 400) - 1;
    bool wide = rng_percent(r, 50);
    if (off_ground(s, CWD_SLOT, path)) {
        return;
    }
    tr_ret(wide ? TRY(truncate64(path, size)) : TRY(truncate(path, size)), "truncate(%s, %ld)",
           tr_q(path), (long)size);
}

static int call_temporary(unsigned way, char *name)
{
    switch (way) {
    case 0:
        return mkstemp(name);
    case 1:
        return mkstemp64(name);
    case 2:
        return mkostemp(name, O_CLOEXEC);
    case 3:
        return mkostemp64(name, O_CLOEXEC);
    case 4:
        return mkstemps(name, 3);
    case 5:
        return mkstemps64(name, 3);
    case 6:
        return mkostemps(name, 3, O_APPEND);
    case 7:
        return mkostemps64(name, 3, O_APPEND);
    default:
        return mkdtemp(name) ? open(name, O_RDONLY) : -1;
    }
}

/* The random name is gone again before anything can show it. */
static void run_temporary(struct sequence *s, struct rng *r)
{
    static char name[PLAN_PATH + 16]; /* looked at again after the call */
    const char *dir = plan_name(r);
    unsigned way = rng_below(r, 9);
    snprintf(name, sizeof name, "%s/tXXXXXX%s", rng_percent(r, 40) ? "." : dir,
             way >= 4 && way < 8 ? ".py" : "");
    if (off_ground(s, CWD_SLOT, name)) {
        return;
    }
    int fd = TRY(call_temporary(way, name));
    tr_line("temporary way %u in %s: %s", way, tr_q(dir), fd >= 0 ? "fd" : tr_errno(errno));
    if (fd < 0) {
        return;
    }
    struct stat st;
    tr_ret(TRY(stat(name, &st)), "    stat of it");
    tr_ret(TRY(remove(name)), "    remove of it");
    tr_ret(TRY(access(name, F_OK)), "    access");
    close(fd);
}

const struct call calls_write[] = {
    {"write", 25, run_write},
    {"create", 15, run_create},
    {"reopen", 12, run_reopen},
    {"unlink", 20, run_unlink},
    {"rename", 15, run_rename},
    {"mkdir", 12, run_mkdir},
    {"symlink", 10, run_symlink},
    {"link", 8, run_link},
    {"mknod", 6, run_mknod},
    {"mkfifo", 4, run_mkfifo},
    {"chmod", 12, run_chmod},
    {"chown", 10, run_chown},
    {"times", 12, run_times},
    {"ftimes", 5, run_ftimes},
    {"truncate", 8, run_truncate},
    {"temporary", 6, run_temporary},
    {NULL, 0, NULL},
};
