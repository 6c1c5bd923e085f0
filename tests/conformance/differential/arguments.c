/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/conformance/differential/sequence.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define PATH_BUF 16384

static char *arguments_scratch(void)
{
    static char ring[4][PATH_BUF];
    static unsigned next;
    return ring[next++ % 4];
}

/* Puts `what` before the byte at `at`. */
static void arguments_insert(char *path, size_t at, const char *what)
{
    size_t n = strlen(what), len = strlen(path);
    if (len + n + 1 > PATH_BUF) {
        return;
    }
    memmove(path + at + n, path + at, len - at + 1);
    for (size_t i = 0; i < n; i++) {
        path[at + i] = what[i];
    }
}

/* Another spelling of the same path, or of one nearby. */
static void decorate(char *path, struct rng *r)
{
    static const char *const ends[] = {"/", "//", "/.", "/..", "/../.", "/./"};
    static const char *const joints[] = {"/", "/.", "//.", "/no-such/.."};
    static const char *const starts[] = {"./", ".//", "a/../", "no-such/../", "../in/"};
    char *slash = strchr(path + (*path ? 1 : 0), '/');
    switch (rng_below(r, 4)) {
    case 0:
        arguments_insert(path, strlen(path), ends[rng_below(r, 6)]);
        break;
    case 1:
        if (slash) {
            arguments_insert(path, (size_t)(slash - path), joints[rng_below(r, 4)]);
        }
        break;
    case 2:
        if (path[0] != '/') {
            arguments_insert(path, 0, starts[rng_below(r, 5)]);
        }
        break;
    default:
        arguments_insert(path, strlen(path), "/");
        arguments_insert(path, strlen(path), plan_name(r));
    }
}

/* As long as the kernel takes, or just longer. */
static void lengthen(char *path, struct rng *r)
{
    size_t want = PATH_MAX - 2 + rng_below(r, 4), len = strlen(path);
    size_t lead = path[0] == '/' ? 1 : 0;
    while (len + 2 <= want) {
        arguments_insert(path, lead, "./");
        len += 2;
    }
    if (len < want) {
        arguments_insert(path, lead + 1, "/");
    }
}

static void base_path(const struct sequence *s, struct rng *r, char *path)
{
    static const char *const fixed[] = {"", ".", "..", "../..", "./", "..//", "../in"};
    unsigned x = rng_below(r, 100);
    unsigned few = s->plan.n < 3 ? (unsigned)s->plan.n : 3;
    if (x < 35 && few) { /* a few paths again and again: a write and a look must meet */
        strcpy(path, s->plan.entries[s->plan.n - 1 - rng_below(r, few)].path);
    } else if (x < 70 && s->plan.n) {
        strcpy(path, s->plan.entries[rng_below(r, (unsigned)s->plan.n)].path);
    } else if (x < 80) {
        snprintf(path, PATH_BUF, "%s/%s", plan_name(r), plan_name(r));
    } else if (x < 92) {
        strcpy(path, plan_name(r));
    } else {
        strcpy(path, fixed[rng_below(r, 7)]);
    }
}

const char *arg_path(const struct sequence *s, struct rng *r)
{
    char *path = arguments_scratch();
    bool bad = rng_percent(r, 1), null = rng_percent(r, 50);
    base_path(s, r, path);
    while (rng_percent(r, 25)) {
        decorate(path, r);
    }
    if (path[0] != '/' && rng_percent(r, 40)) {
        arguments_insert(path, 0, "/");
        arguments_insert(path, 0, s->plan.root);
    }
    if (rng_percent(r, 1)) {
        lengthen(path, r);
    }
    if (bad && !(s->kinds & SEQ_NO_BAD_POINTERS)) {
        return null ? NULL : BAD_PATH;
    }
    return path;
}

struct where arg_where(const struct sequence *s, struct rng *r)
{
    struct where w = {AT_FDCWD, CWD_SLOT, "cwd"};
    unsigned x = rng_below(r, 100), slot = arg_slot(r);
    if (x < 45) {
        return w;
    }
    if (x < 96) {
        w.fd = s->fds[slot];
        w.slot = (int)slot;
        snprintf(w.label, sizeof w.label, "slot %u", slot);
        return w;
    }
    w.fd = x < 98 ? -1 : 9999;
    w.slot = -1;
    snprintf(w.label, sizeof w.label, "%d", w.fd);
    return w;
}

void *arg_buffer(const struct sequence *s, struct rng *r, void *good)
{
    bool bad = rng_percent(r, 1), null = rng_percent(r, 50);
    if (bad && !(s->kinds & SEQ_NO_BAD_POINTERS)) {
        return null ? NULL : (void *)BAD_PATH;
    }
    return good;
}

int arg_open_flags(struct rng *r)
{
    static const int bits[] = {O_CLOEXEC, O_CLOEXEC,  O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_PATH,
                               O_NOCTTY,  O_NOATIME,  O_EXCL,      O_APPEND,   O_SYNC,     O_DIRECT,
                               O_ASYNC,   0x40000000, O_DIRECTORY, O_LARGEFILE};
    int flags = O_RDONLY;
    while (rng_percent(r, 45)) {
        flags |= bits[rng_below(r, sizeof bits / sizeof *bits)];
    }
    return flags;
}

int arg_at_flags(struct rng *r)
{
    static const int bits[] = {AT_SYMLINK_NOFOLLOW, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH,
                               AT_NO_AUTOMOUNT,     AT_REMOVEDIR,        AT_SYMLINK_FOLLOW,
                               0x40000000,          AT_EMPTY_PATH};
    int flags = 0;
    while (rng_percent(r, 40)) {
        flags |= bits[rng_below(r, 8)];
    }
    return flags;
}

unsigned arg_slot(struct rng *r)
{
    return rng_below(r, SLOTS);
}
