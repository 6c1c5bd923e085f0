/* SPDX-License-Identifier: BSD-3-Clause */
/* reopen.c - see reopen.h */
#include "invalidate/reopen.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/dirtree.h"
#include "base/sys.h"
#include "cache/mirror.h"

enum {
    DESCRIPTORS = 256, /* handled at a time */
    NAP_NS = 20000,
    MOST_NAPS = 500,
};

struct reopening {
    const struct node_cache *node;
    const struct stat *original; /* NULL: all mirror files */
    size_t n;
    int fds[DESCRIPTORS];
};

bool reopen_path(const struct node_cache *node, int fd, char path[FI_PATH_MAX])
{
    size_t skip = node->directory_length + sizeof "files";
    const struct stat *original;
    struct stat st;
    char link[64];
    ssize_t n;

    if (sys_fstat(fd, &st) != 0 || (original = mirror_original(node, &st)) == NULL) {
        return false;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = sys_readlink(link, path, FI_PATH_MAX - 1);
    if (n <= (ssize_t)skip) {
        return false;
    }
    path[n] = '\0';
    memmove(path, path + skip, (size_t)n - skip + 1);
    return sys_stat(path, &st) == 0 && st.st_ino == original->st_ino;
}

static bool stands_for(const struct reopening *r, int fd)
{
    struct stat st;
    const struct stat *of = sys_fstat(fd, &st) == 0 ? mirror_original(r->node, &st) : NULL;

    return of != NULL && (r->original == NULL || of->st_ino == r->original->st_ino);
}

static bool reopen_collect(void *context, const char *name, unsigned char type)
{
    struct reopening *r = context;
    int fd = atoi(name);

    (void)type;
    if (stands_for(r, fd)) {
        r->fds[r->n++] = fd;
    }
    return r->n < DESCRIPTORS;
}

static int close_on_exec(int fd)
{
    return (sys_fcntl(fd, F_GETFD, 0) & FD_CLOEXEC) != 0 ? O_CLOEXEC : 0;
}

/* The replacement where kcmp(2) is not available (seccomp(2), CONFIG_KCMP): descriptors that share
 * an open file description share its status flags. Toggling O_NONBLOCK has no effect on reading a
 * regular file or a directory. */
static bool reopen_share_flags(int a, int b)
{
    int before = sys_fcntl(a, F_GETFL, 0);
    bool shared;

    if (before < 0 || sys_fcntl(b, F_GETFL, 0) != before) {
        return false;
    }
    sys_fcntl(a, F_SETFL, before ^ O_NONBLOCK);
    shared = sys_fcntl(b, F_GETFL, 0) == (before ^ O_NONBLOCK);
    sys_fcntl(a, F_SETFL, before);
    return shared;
}

/* Do two descriptors share their file offset, as after dup(2)? Finding out must not move the
 * offset, because another thread may be reading. */
static bool reopen_share_offset(int a, int b)
{
    int order = sys_compare_files(a, b);

    return order < 0 ? reopen_share_flags(a, b) : order == 0;
}

/* The offset at a moment in which no thread reads. A read between our look at the offset and the
 * replacement would be repeated by the program. The wait is bounded, since a reader may never
 * rest. */
static off_t offset_at_rest(int fd)
{
    off_t offset = sys_lseek(fd, 0, SEEK_CUR);

    for (int i = 0; i < MOST_NAPS; i++) {
        off_t before = offset;

        sys_nap_ns(NAP_NS);
        offset = sys_lseek(fd, 0, SEEK_CUR);
        if (offset == before) {
            break;
        }
    }
    return offset;
}

/* Replaces the descriptor at `first`, and those behind it that share its offset. It sets them to -1
 * in the list. */
static void reopen_replace(struct reopening *r, size_t first, const char *path)
{
    int flags = sys_fcntl(r->fds[first], F_GETFL, 0);
    int other =
        flags < 0 ? flags : sys_open(path, (flags & ~(O_CREAT | O_TRUNC | O_EXCL)) | O_CLOEXEC, 0);
    int old = other < 0 ? other : sys_fcntl(r->fds[first], F_DUPFD_CLOEXEC, 0);
    off_t offset;

    if (old >= 0) {
        offset = offset_at_rest(old);
        sys_lseek(other, offset, SEEK_SET);
        for (size_t i = first; i < r->n; i++) {
            /* false also for one that the program has closed meanwhile */
            if (r->fds[i] >= 0 && reopen_share_offset(old, r->fds[i])) {
                sys_dup3(other, r->fds[i], close_on_exec(r->fds[i]));
                r->fds[i] = -1;
            }
        }
        /* A thread may have read after all: move on by what it has read. */
        sys_lseek(other, sys_lseek(old, 0, SEEK_CUR) - offset, SEEK_CUR);
        sys_close(old);
    }
    if (other >= 0) {
        sys_close(other);
    }
}

/* path: where the original is; NULL: each original is at the path by which it was opened. */
static void reopen_matching(struct reopening *r, const char *path)
{
    char name[FI_PATH_MAX];
    int fd = sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

    if (fd < 0) {
        return;
    }
    dirtree_each(fd, reopen_collect, r);
    sys_close(fd);
    for (size_t i = 0; i < r->n; i++) {
        if (r->fds[i] >= 0 && (path != NULL || reopen_path(r->node, r->fds[i], name))) {
            reopen_replace(r, i, path != NULL ? path : name);
        }
    }
}

void reopen_on_original(const struct node_cache *node, const struct stat *original,
                        const char *path)
{
    struct reopening r = {.node = node, .original = original};

    reopen_matching(&r, path);
}

void reopen_all_on_originals(const struct node_cache *node)
{
    struct reopening r = {.node = node};

    reopen_matching(&r, NULL);
}
