/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/conformance/differential/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const stock[] = {
    "a",   "b",        "c",         "d.py",    "e.so",    "__init__.py",
    "f g", "\xff\xfe", "new\nline", "no-such", ".hidden",
};
#define STOCK (sizeof stock / sizeof *stock)

uint64_t rng_next(struct rng *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

unsigned rng_below(struct rng *r, unsigned n)
{
    return (unsigned)(rng_next(r) % n);
}

int rng_percent(struct rng *r, unsigned p)
{
    return rng_below(r, 100) < p;
}

struct rng rng_make(uint64_t seed, uint64_t a, uint64_t b)
{
    struct rng r = {seed * 0x100000001b3u + a};
    r.state = rng_next(&r) + b;
    r.state = rng_next(&r);
    return r;
}

const char *plan_name(struct rng *r)
{
    static char longest[256];
    if (!rng_percent(r, 2)) {
        return stock[rng_below(r, STOCK)];
    }
    memset(longest, 'n', 255);
    return longest;
}

void plan_target(const struct plan *p, struct rng *r, char *buf, size_t size)
{
    static const char *const fixed[] = {".", "..", "no-such", "no-such/x", "./a", "b/"};
    const struct plan_entry *e = p->n ? &p->entries[rng_below(r, (unsigned)p->n)] : NULL;
    unsigned way = rng_below(r, 6);
    if (e && way == 0) {
        snprintf(buf, size, "%s", e->path);
    } else if (e && way == 1) {
        snprintf(buf, size, "%s/%s", p->root, e->path);
    } else if (way == 2) {
        snprintf(buf, size, "../%s", plan_name(r));
    } else if (way == 3) {
        snprintf(buf, size, "%s", fixed[rng_below(r, sizeof fixed / sizeof *fixed)]);
    } else {
        snprintf(buf, size, "%s", plan_name(r));
    }
}

static enum plan_kind pick_kind(struct rng *r)
{
    unsigned x = rng_below(r, 100);
    return x < 28   ? PLAN_DIR
           : x < 68 ? PLAN_FILE
           : x < 88 ? PLAN_SYMLINK
           : x < 95 ? PLAN_HARDLINK
           : x < 97 ? PLAN_SOCKET
                    : PLAN_LIBRARY;
}

/* A random entry of the kind, or NULL. */
static const struct plan_entry *pick(const struct plan *p, struct rng *r, enum plan_kind kind)
{
    for (int tries = 0; tries < 4 && p->n; tries++) {
        const struct plan_entry *e = &p->entries[rng_below(r, (unsigned)p->n)];
        if (e->kind == kind) {
            return e;
        }
    }
    return NULL;
}

static int plan_taken(const struct plan *p, const char *path)
{
    for (size_t i = 0; i < p->n; i++) {
        if (strcmp(p->entries[i].path, path) == 0) {
            return 1;
        }
    }
    return 0;
}

static void plan_dress(struct plan_entry *e, struct rng *r)
{
    static const unsigned modes[] = {0644, 0644, 0755, 0600, 0444, 0, 04755};
    static const unsigned dir_modes[] = {0755, 0755, 0700, 0555, 01777, 0755, 0600, 0300, 0};
    e->mode = e->kind == PLAN_DIR ? dir_modes[rng_below(r, 9)] : modes[rng_below(r, 7)];
    e->size = rng_percent(r, 20) ? 0 : rng_below(r, rng_percent(r, 10) ? 70000 : 300);
    e->mtime = 900000000 + rng_below(r, 300000000);
    e->mtime_ns = rng_below(r, 1000000000);
}

static void plan_add_entry(struct plan *p, struct rng *r)
{
    struct plan_entry *e = &p->entries[p->n];
    const struct plan_entry *parent = pick(p, r, PLAN_DIR), *other = pick(p, r, PLAN_FILE);
    memset(e, 0, sizeof *e);
    if (parent && strlen(parent->path) < 1000) {
        snprintf(e->path, sizeof e->path, "%s/%s", parent->path, plan_name(r));
    } else {
        snprintf(e->path, sizeof e->path, "%s", plan_name(r));
    }
    e->kind = pick_kind(r);
    if (plan_taken(p, e->path) || (e->kind == PLAN_HARDLINK && !other)) {
        return;
    }
    if (e->kind == PLAN_SYMLINK) {
        plan_target(p, r, e->target, sizeof e->target);
    }
    if (e->kind == PLAN_HARDLINK) {
        snprintf(e->target, sizeof e->target, "%s", other->path);
    }
    plan_dress(e, r);
    p->n++;
}

static struct plan_entry *plan_append(struct plan *p, struct rng *r, enum plan_kind kind)
{
    struct plan_entry *e = &p->entries[p->n++];
    memset(e, 0, sizeof *e);
    e->kind = kind;
    plan_dress(e, r);
    return e;
}

/* A directory of some hundred names, and last two links to it: the last entries are what most calls
 * are about. */
static void add_crowd(struct plan *p, struct rng *r)
{
    static const char *const links[] = {"all", "every"};
    unsigned names = PLAN_CROWD / 4 + rng_below(r, PLAN_CROWD * 3 / 4);
    struct plan_entry *e = plan_append(p, r, PLAN_DIR);
    strcpy(e->path, "crowd");
    e->mode = 0755;
    for (unsigned i = 0; i < names; i++) {
        unsigned x = rng_below(r, 100);
        e = plan_append(p, r, x < 80 ? PLAN_FILE : x < 90 ? PLAN_DIR : PLAN_SYMLINK);
        e->size %= 100;
        snprintf(e->path, sizeof e->path, "crowd/m%u%.*s.py", i, (int)rng_below(r, 40),
                 "_a_long_name_of_a_module_of_a_package___");
        if (e->kind == PLAN_SYMLINK) {
            strcpy(e->target, (e - rng_below(r, i + 1))->path + strlen("crowd/"));
        }
    }
    for (int i = 0; i < 2; i++) {
        e = plan_append(p, r, PLAN_SYMLINK);
        strcpy(e->path, links[i]);
        strcpy(e->target, "crowd");
    }
}

void plan_make(struct plan *p, uint64_t seed, unsigned sequence, const char *tree)
{
    struct rng r = rng_make(seed, sequence, UINT64_MAX);
    unsigned wanted = 4 + rng_below(&r, PLAN_FEW - 4);
    p->seed = seed;
    p->sequence = sequence;
    p->n = 0;
    snprintf(p->own, sizeof p->own, "%s/%06u", tree, sequence);
    snprintf(p->ground, sizeof p->ground, "%s/g", p->own);
    snprintf(p->root, sizeof p->root, "%s/in", p->ground);
    for (unsigned i = 0; i < wanted; i++) {
        plan_add_entry(p, &r);
    }
    if (rng_percent(&r, 3)) {
        add_crowd(p, &r);
    }
}

static int plan_write_file(const char *path, const char *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = write(fd, data, size);
    return close(fd) == 0 && n == (ssize_t)size ? 0 : -1;
}

static int random_file(const struct plan_entry *e)
{
    static char data[70000];
    struct rng r = rng_make((uint64_t)e->mtime, e->size, 1);
    for (unsigned i = 0; i < e->size; i++) {
        data[i] = (char)rng_next(&r);
    }
    return plan_write_file(e->path, data, e->size);
}

static int copy_library(const char *from, const char *to)
{
    static char data[1 << 18];
    static size_t size;
    if (!size) {
        int fd = open(from, O_RDONLY);
        ssize_t n = fd < 0 ? -1 : read(fd, data, sizeof data);
        if (n <= 0) {
            return -1;
        }
        close(fd);
        size = (size_t)n;
    }
    return plan_write_file(to, data, size);
}

static int plan_make_entry(const struct plan_entry *e, const char *library)
{
    switch (e->kind) {
    case PLAN_DIR:
        return mkdir(e->path, 0700);
    case PLAN_FILE:
        return random_file(e);
    case PLAN_SYMLINK:
        return symlink(e->target, e->path);
    case PLAN_HARDLINK:
        return link(e->target, e->path);
    case PLAN_SOCKET:
        return mknod(e->path, S_IFSOCK | 0600, 0);
    case PLAN_LIBRARY:
        return copy_library(library, e->path);
    }
    return -1;
}

/* Modes and times once all is there, children before their folders. */
static int finish_entry(const struct plan_entry *e)
{
    const struct timespec t[2] = {{e->mtime, e->mtime_ns}, {e->mtime, e->mtime_ns}};
    if (e->kind != PLAN_SYMLINK && chmod(e->path, e->mode) != 0) {
        return -1;
    }
    return utimensat(AT_FDCWD, e->path, t, AT_SYMLINK_NOFOLLOW);
}

int plan_build(const struct plan *p, const char *library, const char **failed)
{
    *failed = p->root;
    if (mkdir(p->own, 0755) != 0 || mkdir(p->ground, 0755) != 0 || mkdir(p->root, 0755) != 0 ||
        chdir(p->root) != 0) {
        return -1;
    }
    for (size_t i = 0; i < p->n; i++) {
        *failed = p->entries[i].path;
        if (plan_make_entry(&p->entries[i], library) != 0) {
            return -1;
        }
    }
    for (size_t i = p->n; i-- > 0;) {
        *failed = p->entries[i].path;
        if (finish_entry(&p->entries[i]) != 0) {
            return -1;
        }
    }
    const struct timespec t[2] = {{800000000, 1}, {800000000, 1}};
    *failed = p->root;
    if (utimensat(AT_FDCWD, p->root, t, 0) != 0) {
        return -1;
    }
    return utimensat(AT_FDCWD, p->ground, t, 0);
}
