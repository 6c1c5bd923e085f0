/* SPDX-License-Identifier: BSD-3-Clause */
#include "tree/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dirtree.h"
#include "base/io.h"

enum { DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

struct tree_dir {
    int fd;
    _Atomic int users;
};

/* The open directories from the top down to the parent of the last path. */
struct level {
    struct tree_dir *dir;
    size_t end; /* end of this component in `path` */
};

struct tree {
    struct tree_dir *top;
    struct level *levels;
    size_t depth, room;
    char path[PATH_MAX];
};

int tree_dir_fd(const struct tree_dir *d)
{
    return d->fd;
}

static struct tree_dir *tree_dir_new(int fd)
{
    struct tree_dir *d = io_alloc(sizeof *d);
    d->fd = fd;
    d->users = 1;
    return d;
}

struct tree_dir *tree_dir_get(struct tree_dir *d)
{
    atomic_fetch_add(&d->users, 1);
    return d;
}

void tree_dir_put(struct tree_dir *d)
{
    if (d == NULL || atomic_fetch_sub(&d->users, 1) != 1) {
        return;
    }
    if (d->fd >= 0) {
        close(d->fd);
    }
    free(d);
}

struct tree *tree_new(int fd)
{
    struct tree *t = io_alloc(sizeof *t);
    t->top = tree_dir_new(dup(fd));
    return t;
}

static void tree_shorten(struct tree *t, size_t depth)
{
    while (t->depth > depth) {
        tree_dir_put(t->levels[--t->depth].dir);
    }
    t->path[depth ? t->levels[depth - 1].end : 0] = '\0';
}

void tree_forget(struct tree *t)
{
    tree_shorten(t, 0);
}

void tree_free(struct tree *t)
{
    if (t == NULL) {
        return;
    }
    tree_shorten(t, 0);
    tree_dir_put(t->top);
    free(t->levels);
    free(t);
}

static struct tree_dir *tree_deepest(struct tree *t)
{
    return t->depth ? t->levels[t->depth - 1].dir : t->top;
}

/* How many of the open levels lie on the way to path[0, n)? */
static size_t tree_common(const struct tree *t, const char *path, size_t n)
{
    size_t depth = 0;
    while (depth < t->depth) {
        size_t end = t->levels[depth].end;
        if (end > n || memcmp(t->path, path, end) != 0 || (path[end] != '/' && end != n)) {
            break;
        }
        depth++;
    }
    return depth;
}

static void tree_push(struct tree *t, int fd, const char *path, size_t end)
{
    if (t->depth == t->room) {
        t->room = t->room ? 2 * t->room : 16;
        t->levels = io_realloc(t->levels, t->room * sizeof *t->levels);
    }
    t->levels[t->depth++] = (struct level){tree_dir_new(fd), end};
    memcpy(t->path, path, end);
    t->path[end] = '\0';
}

/* Opens the directory path[0, end), whose parent is the deepest open one. */
static int tree_descend(struct tree *t, const char *path, size_t start, size_t end, bool make,
                        struct error *err)
{
    char name[NAME_MAX + 1];
    int above = tree_dir_fd(tree_deepest(t));
    memcpy(name, path + start, end - start);
    name[end - start] = '\0';
    int fd = openat(above, name, DIR_FLAGS);
    if (fd < 0 && errno == ENOENT && make && mkdirat(above, name, 0755) == 0) {
        fd = openat(above, name, DIR_FLAGS);
    }
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR)) {
        return error_set(err, path, "its path leads through a link or a file, which is refused");
    }
    if (fd < 0) {
        return error_set_errno(err, path, "cannot open its directory");
    }
    tree_push(t, fd, path, end);
    return 0;
}

struct tree_dir *tree_parent(struct tree *t, const char *path, const char **name, bool make,
                             struct error *err)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash != NULL ? (size_t)(slash - path) : 0;
    *name = slash != NULL ? slash + 1 : path;
    tree_shorten(t, n ? tree_common(t, path, n) : 0);
    size_t start = t->depth ? t->levels[t->depth - 1].end + 1 : 0;
    while (start < n) {
        size_t end = start + strcspn(path + start, "/");
        if (tree_descend(t, path, start, end, make, err) < 0) {
            return NULL;
        }
        start = end + 1;
    }
    return tree_deepest(t);
}

int tree_mkdir(struct tree *t, const char *path, struct error *err)
{
    const char *name;
    struct stat st;
    struct tree_dir *d = tree_parent(t, path, &name, true, err);
    if (d == NULL) {
        return -1;
    }
    if (mkdirat(d->fd, name, 0755) == 0) {
        return 0;
    }
    if (errno == EEXIST && fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(st.st_mode)) {
        return 0;
    }
    errno = EEXIST;
    return error_set_errno(err, path, "cannot make the directory");
}

int tree_remove(int dir, const char *name, struct error *err)
{
    char failed[DIRTREE_NAME] = "";
    int code = dirtree_remove_telling(dir, name, failed);
    if (code == 0 || code == -ENOENT) {
        return 0;
    }
    if (code == -EXDEV) {
        return error_set(err, failed, "another file system is mounted there; not removed");
    }
    errno = -code;
    return error_set_errno(err, failed, "cannot remove");
}
