/* reopen.c - see reopen.h */
#include "reopen.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "cache/mirror.h"
#include "cache/tree.h"

enum { DESCRIPTORS = 256 }; /* that are handed over at a time */

struct reopening {
    const struct node_cache *node;
    const struct stat *original; /* NULL: all */
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

static bool collect(void *context, const char *name, unsigned char type)
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

/* Do two descriptors share their offset, as dup(2) makes them? */
static bool share(int a, int b)
{
    off_t offset = sys_lseek(a, 0, SEEK_CUR);
    bool shared;

    if (sys_lseek(b, 0, SEEK_CUR) != offset) {
        return false;
    }
    sys_lseek(a, offset + 1, SEEK_SET);
    shared = sys_lseek(b, 0, SEEK_CUR) == offset + 1;
    sys_lseek(a, offset, SEEK_SET);
    return shared;
}

/* The descriptor at `first`, and those behind it that share its offset; they are then done with
 * (-1). */
static void replace(struct reopening *r, size_t first, const char *path)
{
    int fd = r->fds[first];
    int flags = sys_fcntl(fd, F_GETFL, 0);
    int other =
        flags < 0 ? flags : sys_open(path, (flags & ~(O_CREAT | O_TRUNC | O_EXCL)) | O_CLOEXEC, 0);

    if (other < 0) {
        return;
    }
    sys_lseek(other, sys_lseek(fd, 0, SEEK_CUR), SEEK_SET);
    for (size_t i = first + 1; i < r->n; i++) {
        if (r->fds[i] >= 0 && share(fd, r->fds[i])) {
            sys_dup3(other, r->fds[i], close_on_exec(r->fds[i]));
            r->fds[i] = -1;
        }
    }
    sys_dup3(other, fd, close_on_exec(fd));
    sys_close(other);
}

/* path: where the one original is; NULL: where each was opened. */
static void reopen(struct reopening *r, const char *path)
{
    char name[FI_PATH_MAX];
    int fd = sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

    if (fd < 0) {
        return;
    }
    tree_each(fd, collect, r);
    sys_close(fd);
    for (size_t i = 0; i < r->n; i++) {
        if (r->fds[i] >= 0 && (path != NULL || reopen_path(r->node, r->fds[i], name))) {
            replace(r, i, path != NULL ? path : name);
        }
    }
}

void reopen_file(const struct node_cache *node, const struct stat *original, const char *path)
{
    struct reopening r = {.node = node, .original = original};

    reopen(&r, path);
}

void reopen_all(const struct node_cache *node)
{
    struct reopening r = {.node = node};

    reopen(&r, NULL);
}
