#include "tree/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct tree_dir {
    int fd;
    _Atomic int users;
};

/* The directories from the top down to the last parent asked for. */
struct level {
    struct tree_dir *dir;
    size_t end; /* of this component in `path` */
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

static struct tree_dir *dir_new(int fd)
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
    if (!d || atomic_fetch_sub(&d->users, 1) != 1)
        return;
    if (d->fd >= 0)
        close(d->fd);
    free(d);
}

struct tree *tree_open(int fd)
{
    struct tree *t = io_alloc(sizeof *t);
    t->top = dir_new(dup(fd));
    return t;
}

static void shorten(struct tree *t, size_t depth)
{
    while (t->depth > depth)
        tree_dir_put(t->levels[--t->depth].dir);
    t->path[depth ? t->levels[depth - 1].end : 0] = '\0';
}

void tree_forget(struct tree *t)
{
    shorten(t, 0);
}

void tree_close(struct tree *t)
{
    if (!t)
        return;
    shorten(t, 0);
    tree_dir_put(t->top);
    free(t->levels);
    free(t);
}

static struct tree_dir *deepest(struct tree *t)
{
    return t->depth ? t->levels[t->depth - 1].dir : t->top;
}

/* How many of the open levels lie on the way to path[0, n)? */
static size_t common(const struct tree *t, const char *path, size_t n)
{
    size_t depth = 0;
    while (depth < t->depth) {
        size_t end = t->levels[depth].end;
        if (end > n || memcmp(t->path, path, end) != 0 || (path[end] != '/' && end != n))
            break;
        depth++;
    }
    return depth;
}

static void push(struct tree *t, int fd, const char *path, size_t end)
{
    if (t->depth == t->room) {
        t->room = t->room ? 2 * t->room : 16;
        t->levels = io_realloc(t->levels, t->room * sizeof *t->levels);
    }
    t->levels[t->depth++] = (struct level){dir_new(fd), end};
    memcpy(t->path, path, end);
    t->path[end] = '\0';
}

/* Opens path[0, end) below the deepest level, which is its parent. */
static int descend(struct tree *t, const char *path, size_t start, size_t end, bool make,
                   struct fault *f)
{
    char name[NAME_MAX + 1];
    int above = tree_dir_fd(deepest(t));
    if (end - start > NAME_MAX || end >= sizeof t->path) {
        errno = ENAMETOOLONG;
        return fault_errno(f, path, "cannot open its directory");
    }
    memcpy(name, path + start, end - start);
    name[end - start] = '\0';
    int fd = openat(above, name, DIR_FLAGS);
    if (fd < 0 && errno == ENOENT && make && mkdirat(above, name, 0755) == 0)
        fd = openat(above, name, DIR_FLAGS);
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return fault_set(f, path, "its path leads through a link or a file, which is refused");
    if (fd < 0)
        return fault_errno(f, path, "cannot open its directory");
    push(t, fd, path, end);
    return 0;
}

struct tree_dir *tree_parent(struct tree *t, const char *path, const char **name, bool make,
                             struct fault *f)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    *name = slash ? slash + 1 : path;
    shorten(t, n ? common(t, path, n) : 0);
    size_t start = t->depth ? t->levels[t->depth - 1].end + 1 : 0;
    while (start < n) {
        size_t end = start + strcspn(path + start, "/");
        if (descend(t, path, start, end, make, f) < 0)
            return NULL;
        start = end + 1;
    }
    return deepest(t);
}

int tree_mkdir(struct tree *t, const char *path, struct fault *f)
{
    const char *name;
    struct stat st;
    struct tree_dir *d = tree_parent(t, path, &name, true, f);
    if (!d)
        return -1;
    if (mkdirat(d->fd, name, 0755) == 0)
        return 0;
    if (errno == EEXIST && fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(st.st_mode))
        return 0;
    errno = EEXIST;
    return fault_errno(f, path, "cannot make the directory");
}

static int remove_tree(int dir, const char *name, dev_t device, struct fault *f);

static bool dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Empties an open directory; `fd` is closed. */
static int empty(int fd, dev_t device, struct fault *f)
{
    DIR *stream = fdopendir(fd);
    if (!stream) {
        close(fd);
        return fault_errno(f, NULL, "cannot list a directory");
    }
    int r = 0;
    struct dirent *e;
    while ((e = readdir(stream)))
        if (!dots(e->d_name) && remove_tree(fd, e->d_name, device, f) < 0)
            r = -1;
    closedir(stream);
    return r;
}

/* By the descriptor's own name: a name could be another thing by now. */
int tree_open_dir(int dir, const char *name)
{
    struct stat st;
    char by_number[64];
    int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return fd;
    snprintf(by_number, sizeof by_number, "/proc/self/fd/%d", fd);
    if ((st.st_mode & 0700) != 0700 && st.st_uid == geteuid())
        chmod(by_number, 0700);
    int open_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = errno;
    close(fd);
    errno = error;
    return open_fd;
}

static int remove_directory(int dir, const char *name, dev_t device, struct fault *f)
{
    struct stat st;
    int fd = tree_open_dir(dir, name);
    if (fd < 0)
        return errno == ENOENT ? 0 : fault_errno(f, name, "cannot open");
    if (fstat(fd, &st) < 0 || (device && st.st_dev != device)) {
        close(fd);
        return fault_set(f, name, "another file system is mounted there; not removed");
    }
    if (empty(fd, st.st_dev, f) < 0)
        return -1;
    return unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT
               ? fault_errno(f, name, "cannot remove")
               : 0;
}

static int remove_tree(int dir, const char *name, dev_t device, struct fault *f)
{
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return fault_errno(f, name, "cannot remove");
    return remove_directory(dir, name, device, f);
}

int tree_remove(int dir, const char *name, struct fault *f)
{
    return remove_tree(dir, name, 0, f);
}
