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

struct reopening {
    const struct node_cache *node;
    const struct stat *original; /* NULL: all */
    const char *path;
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

static bool stands_for(const struct node_cache *node, int fd, const struct stat *original)
{
    struct stat st;
    const struct stat *of = sys_fstat(fd, &st) == 0 ? mirror_original(node, &st) : NULL;

    return of != NULL && of->st_ino == original->st_ino && of->st_dev == original->st_dev;
}

static void replace(int fd, const char *path)
{
    int flags = sys_fcntl(fd, F_GETFL, 0);
    int close_on_exec = sys_fcntl(fd, F_GETFD, 0) & FD_CLOEXEC;
    off_t offset = sys_lseek(fd, 0, SEEK_CUR);
    int other = flags < 0 ? flags : sys_open(path, (flags & ~(O_CREAT | O_TRUNC | O_EXCL)) | O_CLOEXEC, 0);

    if (other < 0) {
        return;
    }
    if (offset > 0) {
        sys_lseek(other, offset, SEEK_SET);
    }
    sys_dup3(other, fd, close_on_exec != 0 ? O_CLOEXEC : 0);
    sys_close(other);
}

static void visit(void *context, const char *name, unsigned char type)
{
    struct reopening *r = context;
    char path[FI_PATH_MAX];
    int fd = atoi(name);

    (void)type;
    if (r->original == NULL) {
        if (reopen_path(r->node, fd, path)) {
            replace(fd, path);
        }
    } else if (stands_for(r->node, fd, r->original)) {
        replace(fd, r->path);
    }
}

static void reopen(struct reopening *r)
{
    int fd = sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

    if (fd >= 0) {
        tree_each(fd, visit, r);
        sys_close(fd);
    }
}

void reopen_file(const struct node_cache *node, const struct stat *original, const char *path)
{
    reopen(&(struct reopening){node, original, path});
}

void reopen_all(const struct node_cache *node)
{
    reopen(&(struct reopening){node, NULL, NULL});
}
