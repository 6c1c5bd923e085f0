/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that give and use descriptors. */
#include "tests/conformance/differential/sequence.h"
#include "tests/conformance/interpose/transcript.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What _FORTIFY_SOURCE makes of the open calls. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);

static char data[128 << 10];

static void slot_close(struct sequence *s, unsigned slot)
{
    if (s->fds[slot] >= 0) {
        close(s->fds[slot]);
    }
    s->fds[slot] = -1;
    shadow_close(s, (int)slot);
}

static int call_open(unsigned way, int dirfd, const char *path, int flags)
{
    switch (way) {
    case 0:
        return open(path, flags, 0);
    case 1:
        return open64(path, flags, 0);
    case 2:
        return __open_2(path, flags);
    case 3:
        return __open64_2(path, flags);
    case 4:
        return openat(dirfd, path, flags, 0);
    case 5:
        return openat64(dirfd, path, flags, 0);
    case 6:
        return __openat_2(dirfd, path, flags);
    default:
        return __openat64_2(dirfd, path, flags);
    }
}

static void run_open(struct sequence *s, struct rng *r)
{
    unsigned slot = arg_slot(r), way = rng_below(r, 8);
    struct where w = arg_where(s, r);
    const char *path = arg_path(s, r);
    int flags = arg_open_flags(r), from = way < 4 ? CWD_SLOT : w.slot;
    int fd = TRY(call_open(way, w.fd, path, flags));
    tr_fd(fd, "slot %u: open way %u (%s, %s, %x)", slot, way, way < 4 ? "" : w.label, tr_q(path),
          flags);
    if (fd < 0) {
        return;
    }
    if (s->fds[slot] >= 0) {
        close(s->fds[slot]);
    }
    s->fds[slot] = fd;
    shadow_open(s, (int)slot, from, path, flags & O_NOFOLLOW);
    tr_ret(TRY(fcntl(fd, F_GETFL)), "    F_GETFL");
    tr_ret(TRY(fcntl(fd, F_GETFD)), "    F_GETFD");
}

static void run_close(struct sequence *s, struct rng *r)
{
    unsigned slot = arg_slot(r);
    tr_ret(TRY(close(s->fds[slot])), "close slot %u", slot);
    s->fds[slot] = -1;
    shadow_close(s, (int)slot);
}

static void run_read(struct sequence *s, struct rng *r)
{
    unsigned slot = arg_slot(r);
    size_t want = rng_percent(r, 50) ? sizeof data : rng_below(r, 100);
    off_t at = (off_t)rng_below(r, 200) - 2;
    ssize_t n = rng_percent(r, 60) ? TRY(read(s->fds[slot], data, want))
                                   : TRY(pread(s->fds[slot], data, want, at));
    tr_ret(n, "read slot %u, %zu", slot, want);
    if (n > 0) {
        tr_bytes("data", data, (size_t)n);
    }
}

static void run_lseek(struct sequence *s, struct rng *r)
{
    static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE, 99};
    unsigned slot = arg_slot(r);
    off_t off = (off_t)rng_below(r, 120) - 20;
    int whence = whences[rng_below(r, 6)];
    struct stat st;
    /* A directory's offsets are the file system's own affair, except to go back to the start. */
    if (fstat(s->fds[slot], &st) == 0 && S_ISDIR(st.st_mode)) {
        off = whence = 0;
    }
    tr_ret(TRY(lseek(s->fds[slot], off, whence)), "lseek slot %u, %ld, %d", slot, (long)off,
           whence);
}

static void run_dup(struct sequence *s, struct rng *r)
{
    unsigned from = arg_slot(r), to = arg_slot(r);
    int fd;
    if (from == to) {
        return;
    }
    if (s->fds[to] >= 0 && rng_percent(r, 50)) {
        fd = TRY(dup2(s->fds[from], s->fds[to]));
        tr_fd(fd, "dup2 slot %u to %u", from, to);
    } else {
        fd = TRY(fcntl(s->fds[from], F_DUPFD_CLOEXEC, 0));
        tr_fd(fd, "F_DUPFD slot %u to %u", from, to);
        if (fd >= 0) {
            slot_close(s, to);
        }
    }
    if (fd < 0) {
        return;
    }
    s->fds[to] = fd;
    shadow_copy(s, (int)to, (int)from);
}

static void run_mmap(struct sequence *s, struct rng *r)
{
    unsigned slot = arg_slot(r);
    int flags = rng_percent(r, 50) ? MAP_SHARED : MAP_PRIVATE;
    struct stat st;
    if (fstat(s->fds[slot], &st) != 0 || st.st_size == 0 || !S_ISREG(st.st_mode)) {
        return;
    }
    size_t size = (size_t)st.st_size;
    void *p = TRY(mmap(NULL, size, PROT_READ, flags, s->fds[slot], 0));
    tr_line("mmap slot %u: %s", slot, p == MAP_FAILED ? tr_errno(errno) : "ok");
    if (p == MAP_FAILED) {
        return;
    }
    tr_bytes("mapping", p, size);
    munmap(p, size);
}

static void run_fopen(struct sequence *s, struct rng *r)
{
    static const char *const modes[] = {"r", "rb", "re", "rx", "rm", "q"};
    const char *path = arg_path(s, r), *mode = modes[rng_below(r, 6)];
    FILE *f = rng_percent(r, 50) ? TRY(fopen(path, mode)) : TRY(fopen64(path, mode));
    tr_ptr(f, "fopen(%s, %s)", tr_q(path), mode);
    if (!f) {
        return;
    }
    struct stat st;
    tr_ret(TRY(fcntl(fileno(f), F_GETFD)), "    F_GETFD");
    if (fstat(fileno(f), &st) == 0) {
        tr_stat(&st);
    }
    size_t n = TRY(fread(data, 1, sizeof data, f));
    tr_line("    error %s", ferror(f) ? tr_errno(errno) : "none");
    tr_bytes("fread", data, n);
    fclose(f);
}

const struct call calls_open[] = {
    {"open", 130, run_open},  {"close", 20, run_close}, {"read", 50, run_read},
    {"lseek", 15, run_lseek}, {"dup", 20, run_dup},     {"mmap", 10, run_mmap},
    {"fopen", 30, run_fopen}, {NULL, 0, NULL},
};
