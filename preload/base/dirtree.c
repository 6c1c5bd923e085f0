/* SPDX-License-Identifier: BSD-3-Clause */
/* dirtree.c - see dirtree.h */
#include "base/dirtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"

struct dirent_kernel { /* getdents64(2) */
    uint64_t d_ino;
    int64_t d_off;
    unsigned short d_reclen;
    unsigned char d_type;
    char d_name[];
};

struct dirtree_visit {
    bool (*visit)(void *, const char *, unsigned char);
    void *context;
};

enum { ENTRIES = 16384 };

static bool visit_all(const char *entries, ssize_t n, struct dirtree_visit *v)
{
    for (ssize_t at = 0; at < n;) {
        const struct dirent_kernel *d = (const void *)(entries + at);

        at += d->d_reclen;
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 &&
            !v->visit(v->context, d->d_name, d->d_type)) {
            return false;
        }
    }
    return true;
}

/* The entries are not on the stack: trees are deep, and a handler of a crash that calls exec has
 * little of it. */
int dirtree_each(int dirfd, bool (*visit)(void *, const char *, unsigned char), void *context)
{
    struct dirtree_visit v = {visit, context};
    char *entries = sys_mmap(ENTRIES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ssize_t n = entries == NULL ? -ENOMEM : 0;

    if (entries != NULL) {
        do {
            n = sys_getdents64(dirfd, entries, ENTRIES);
        } while (n > 0 && visit_all(entries, n, &v));
        sys_munmap(entries, ENTRIES);
    }
    return n > 0 ? 0 : (int)n;
}

struct removal {
    int dirfd;
    int error;
};

static bool remove_entry(void *context, const char *name, unsigned char type)
{
    struct removal *removal = context;
    int error = type == DT_DIR ? dirtree_remove(removal->dirfd, name)
                               : sys_unlinkat(removal->dirfd, name, 0);

    if (error == -EISDIR) {
        error = dirtree_remove(removal->dirfd, name);
    }
    if (error != 0 && removal->error == 0) {
        removal->error = error;
    }
    return true;
}

int dirtree_remove(int dirfd, const char *name)
{
    struct removal inside = {
        sys_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0), 0};
    int error;

    if (inside.dirfd == -ENOTDIR || inside.dirfd == -ELOOP) {
        return sys_unlinkat(dirfd, name, 0);
    }
    if (inside.dirfd < 0) {
        return inside.dirfd;
    }
    dirtree_each(inside.dirfd, remove_entry, &inside);
    sys_close(inside.dirfd);
    error = sys_unlinkat(dirfd, name, AT_REMOVEDIR);
    return inside.error != 0 ? inside.error : error;
}
