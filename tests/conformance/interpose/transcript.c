/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/conformance/interpose/transcript.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NOW_STARTS 1262304000 /* 2010-01-01: trees under test are older, writes are newer */
#define QUOTE_MAX  600
#define INODES_MAX 65536
#define NAMES_MAX  8192

struct inode {
    uint64_t dev, ino;
};

struct entry {
    char *name;
    uint64_t ino;
    unsigned char type;
};

static int out = -1;
static char line[8192]; /* the line being written; `used` bytes of it */
static size_t used;
static char base[4096];
static uint64_t base_dev;
static uint64_t names_dev;
static enum tr_grade grade;
static bool no_inodes;
static struct inode *inodes;
static size_t n_inodes;
static struct entry names[NAMES_MAX];
static size_t n_names;

int tr_open(const char *file)
{
    out = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (out < 0) {
        return -1;
    }
    int high = fcntl(out, F_DUPFD_CLOEXEC, 500); /* out of the way of the descriptors under test */
    if (high >= 0) {
        syscall(SYS_close, out);
        out = high;
    }
    no_inodes = getenv("TEST_NO_INODES") != NULL;
    if (!inodes) {
        inodes = calloc(INODES_MAX, sizeof *inodes);
    }
    return inodes ? 0 : -1;
}

void tr_close(void)
{
    syscall(SYS_close, out);
    out = -1;
    free(inodes);
    inodes = NULL;
}

static void find_device(int dirfd, const char *path, uint64_t *dev)
{
    int saved = errno;
    struct statx sx = {0};
    if (syscall(SYS_statx, dirfd, path, AT_EMPTY_PATH, STATX_BASIC_STATS, &sx) == 0) {
        *dev = makedev(sx.stx_dev_major, sx.stx_dev_minor);
    }
    errno = saved;
}

void tr_base(const char *dir, enum tr_grade g)
{
    snprintf(base, sizeof base, "%s", dir);
    grade = g;
    find_device(AT_FDCWD, dir, &base_dev);
    names_dev = base_dev;
}

void tr_names_in(int dirfd, const char *path)
{
    find_device(dirfd, path, &names_dev);
}

void tr_forget(void)
{
    n_inodes = 0;
}

const char *tr_errno(int err)
{
    const char *name = strerrorname_np(err);
    return name ? name : "E?";
}

uint64_t tr_hash(const void *data, size_t size)
{
    const unsigned char *p = data;
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < size; i++) {
        h = (h ^ p[i]) * 1099511628211u;
    }
    return h;
}

/* Appends to the line; what does not fit is cut. */
static TR_PRINTF(1, 0) void addv(const char *fmt, va_list ap)
{
    int n = vsnprintf(line + used, sizeof line - used, fmt, ap);
    if (n > 0) {
        used += (size_t)n < sizeof line - used ? (size_t)n : sizeof line - used - 1;
    }
}

static TR_PRINTF(1, 2) void add(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    addv(fmt, ap);
    va_end(ap);
}

static void end_line(void)
{
    if (used > sizeof line - 2) {
        used = sizeof line - 2;
    }
    line[used++] = '\n';
    if (syscall(SYS_write, out, line, used) != (ssize_t)used) {
        abort();
    }
    used = 0;
}

static char *transcript_escape(char *to, const char *end, unsigned char c)
{
    if (c >= ' ' && c < 0x7f && c != '"' && c != '\\') {
        *to++ = (char)c;
    } else {
        to += snprintf(to, (size_t)(end - to), "\\x%02x", c);
    }
    return to;
}

const char *tr_q(const char *s)
{
    static char ring[8][QUOTE_MAX + 64];
    static unsigned next;
    char *buf = ring[next++ % 8], *to = buf;
    const char *const end = buf + QUOTE_MAX + 64;
    size_t b = strlen(base);

    if (!s) {
        return "NULL";
    }
    if ((uintptr_t)s < 65536 || (intptr_t)s < 0) {
        return "BAD";
    }
    size_t n = strlen(s);
    *to++ = '"';
    if (b > 1 && strncmp(s, base, b) == 0) {
        *to++ = '~';
        s += b;
        n -= b;
    }
    for (size_t i = 0; i < n && to < buf + QUOTE_MAX; i++) {
        to = transcript_escape(to, end, (unsigned char)s[i]);
    }
    if (to >= buf + QUOTE_MAX) {
        to += snprintf(to, (size_t)(end - to), "...%zu bytes %016" PRIx64, n, tr_hash(s, n));
    }
    *to++ = '"';
    *to = '\0';
    return buf;
}

void tr_line(const char *fmt, ...)
{
    int saved = errno;
    va_list ap;
    va_start(ap, fmt);
    addv(fmt, ap);
    va_end(ap);
    end_line();
    errno = saved;
}

void tr_ret(long ret, const char *fmt, ...)
{
    int saved = errno;
    va_list ap;
    va_start(ap, fmt);
    addv(fmt, ap);
    va_end(ap);
    add(" = %ld", ret);
    if (ret == -1) {
        add(" %s", tr_errno(saved));
    } else if (saved) {
        add(" (leaves errno %s)", tr_errno(saved));
    }
    end_line();
    errno = saved;
}

void tr_closed(int fd)
{
    int r = TRY(fcntl(fd, F_GETFD));
    for (int i = 0; r >= 0 && i < 1000; i++) {
        usleep(1000);
        r = TRY(fcntl(fd, F_GETFD));
    }
    tr_ret(r, "    F_GETFD once closed");
}

void tr_ptr(const void *ptr, const char *fmt, ...)
{
    int saved = errno;
    va_list ap;
    va_start(ap, fmt);
    addv(fmt, ap);
    va_end(ap);
    add(ptr ? " = ok" : " = NULL %s", tr_errno(saved));
    end_line();
    errno = saved;
}

void tr_fd(int fd, const char *fmt, ...)
{
    int saved = errno;
    va_list ap;
    va_start(ap, fmt);
    addv(fmt, ap);
    va_end(ap);
    if (fd >= 0) {
        add(saved ? " = fd (leaves errno %s)" : " = fd", tr_errno(saved));
    } else {
        add(" = %d %s", fd, tr_errno(saved));
    }
    end_line();
    errno = saved;
}

static size_t inode_number(uint64_t dev, uint64_t ino)
{
    size_t i = 0;
    while (i < n_inodes && (inodes[i].dev != dev || inodes[i].ino != ino)) {
        i++;
    }
    if (i == n_inodes && n_inodes < INODES_MAX) {
        inodes[n_inodes++] = (struct inode){dev, ino};
    }
    return i;
}

static void add_inode(uint64_t dev, uint64_t ino)
{
    if (grade == TR_EXACT) {
        add(" dev=%u:%u ino=%" PRIu64, major(dev), minor(dev), ino);
    } else if (!no_inodes) {
        add(" file=#%zu", inode_number(dev, ino));
    }
}

static void add_mtime(int64_t sec, unsigned nsec)
{
    if (grade == TR_MAPPED && sec >= NOW_STARTS) {
        add(" mtime=now");
    } else {
        add(" mtime=%" PRId64 ".%09u", sec, nsec);
    }
}

/* Where no tmpfs could be had, a large directory's depend on what was freed before. */
static unsigned long long blocks_of(unsigned mode, unsigned long long blocks)
{
    return no_inodes && S_ISDIR(mode) ? 0 : blocks;
}

void tr_stat(const struct stat *st)
{
    int saved = errno;
    add("   ");
    add_inode(st->st_dev, st->st_ino);
    add(" mode=%o nlink=%lu uid=%u gid=%u rdev=%lx size=%ld blksize=%ld blocks=%llu", st->st_mode,
        (unsigned long)st->st_nlink, st->st_uid, st->st_gid, (unsigned long)st->st_rdev,
        (long)st->st_size, (long)st->st_blksize,
        blocks_of(st->st_mode, (unsigned long long)st->st_blocks));
    add_mtime(st->st_mtim.tv_sec, (unsigned)st->st_mtim.tv_nsec);
    if (grade == TR_EXACT) {
        add(" atime=%ld.%09ld ctime=%ld.%09ld", (long)st->st_atim.tv_sec, st->st_atim.tv_nsec,
            (long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
    }
    end_line();
    errno = saved;
}

static void add_statx_exact(const struct statx *sx)
{
    const struct statx_timestamp *t[] = {&sx->stx_atime, &sx->stx_ctime, &sx->stx_btime};
    static const char *const label[] = {"atime", "ctime", "btime"};
    static const unsigned bit[] = {STATX_ATIME, STATX_CTIME, STATX_BTIME};
    for (int i = 0; i < 3; i++) {
        if (sx->stx_mask & bit[i]) {
            add(" %s=%lld.%09u", label[i], (long long)t[i]->tv_sec, t[i]->tv_nsec);
        }
    }
}

void tr_statx(const struct statx *sx)
{
    int saved = errno;
    add("    mask=%x blksize=%u attr=%llx/%llx", sx->stx_mask, sx->stx_blksize,
        (unsigned long long)sx->stx_attributes, (unsigned long long)sx->stx_attributes_mask);
    add_inode(makedev(sx->stx_dev_major, sx->stx_dev_minor), sx->stx_ino);
    add(" mode=%o nlink=%u uid=%u gid=%u rdev=%x:%x size=%llu blocks=%llu", sx->stx_mode,
        sx->stx_nlink, sx->stx_uid, sx->stx_gid, sx->stx_rdev_major, sx->stx_rdev_minor,
        (unsigned long long)sx->stx_size, blocks_of(sx->stx_mode, sx->stx_blocks));
    add_mtime(sx->stx_mtime.tv_sec, sx->stx_mtime.tv_nsec);
    if (grade == TR_EXACT) {
        add_statx_exact(sx);
    }
    end_line();
    errno = saved;
}

void tr_bytes(const char *what, const void *data, size_t size)
{
    int saved = errno;
    const unsigned char *p = data;
    add("    %s: %zu bytes %016" PRIx64, what, size, tr_hash(data, size));
    for (size_t i = 0; i < size && size <= 32; i++) {
        add(i ? "%02x" : " %02x", p[i]);
    }
    end_line();
    errno = saved;
}

void tr_name_add(const char *name, uint64_t ino, unsigned char type)
{
    int saved = errno;
    if (n_names == NAMES_MAX) {
        abort();
    }
    names[n_names++] = (struct entry){strdup(name), ino, type};
    errno = saved;
}

static int transcript_by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

void tr_names(const char *what)
{
    int saved = errno;
    qsort(names, n_names, sizeof *names, transcript_by_name);
    tr_line("    %s: %zu names", what, n_names);
    for (size_t i = 0; i < n_names; i++) {
        add("      %s type=%u", tr_q(names[i].name), names[i].type);
        add_inode(names_dev, names[i].ino);
        end_line();
        free(names[i].name);
    }
    n_names = 0;
    names_dev = base_dev;
    errno = saved;
}
