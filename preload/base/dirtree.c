/* SPDX-License-Identifier: BSD-3-Clause */
/* dirtree.c - see dirtree.h */
#include "base/dirtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sys.h"

struct dirent_kernel { /* the layout of getdents64(2) */
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

/* The buffer is not on the stack: this recurses into deep trees, and a crash handler that calls
 * exec has a small stack. */
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

/* --- removing --- */

struct removal {
    dev_t device; /* of the top; 0: not known yet */
    int error;    /* the first */
    char *failed; /* the name that the error is about; NULL: nobody asks */
};

struct level {
    struct removal *removal;
    int dirfd;
};

static void dirtree_note_error(struct removal *removal, const char *name, int error)
{
    if (error == 0 || removal->error != 0) {
        return;
    }
    removal->error = error;
    if (removal->failed != NULL) {
        snprintf(removal->failed, DIRTREE_NAME, "%s", name);
    }
}

/* The mode is changed through the descriptor: the name could be another thing by now. chmod(2)
 * takes the descriptor's own name, for fchmod(2) refuses O_PATH. */
int dirtree_open(int dirfd, const char *name)
{
    struct stat st;
    char by_number[64];
    int fd = sys_openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    int open_fd;

    if (fd < 0) {
        return fd;
    }
    if (sys_fstat(fd, &st) == 0 && (st.st_mode & S_IRWXU) != S_IRWXU && st.st_uid == geteuid()) {
        snprintf(by_number, sizeof by_number, "/proc/self/fd/%d", fd);
        sys_chmod(by_number, S_IRWXU);
    }
    open_fd = sys_openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    sys_close(fd);
    return open_fd;
}

static int dirtree_remove_entry(struct removal *removal, int dirfd, const char *name);

/* Another process may remove the same tree: what is gone already is no error here. */
static bool dirtree_remove_visited(void *context, const char *name, unsigned char type)
{
    struct level *level = context;
    int error = dirtree_remove_entry(level->removal, level->dirfd, name);

    (void)type;
    dirtree_note_error(level->removal, name, error == -ENOENT ? 0 : error);
    return true;
}

static int dirtree_empty(struct removal *removal, int fd)
{
    struct level inside = {removal, fd};
    struct stat st;
    int error = sys_fstat(fd, &st);

    if (error == 0 && removal->device != 0 && st.st_dev != removal->device) {
        return -EXDEV;
    }
    if (error == 0) {
        removal->device = st.st_dev;
        error = dirtree_each(fd, dirtree_remove_visited, &inside);
    }
    return error;
}

static int dirtree_remove_entry(struct removal *removal, int dirfd, const char *name)
{
    int error = sys_unlinkat(dirfd, name, 0);
    int fd;

    if (error != -EISDIR && error != -EPERM) { /* EPERM: POSIX's error for a directory */
        return error;
    }
    fd = dirtree_open(dirfd, name);
    if (fd < 0) {
        return fd == -ENOTDIR ? error : fd;
    }
    error = dirtree_empty(removal, fd);
    sys_close(fd);
    return error != 0 ? error : sys_unlinkat(dirfd, name, AT_REMOVEDIR);
}

int dirtree_remove_telling(int dirfd, const char *name, char *failed)
{
    struct removal removal = {.failed = failed};

    dirtree_note_error(&removal, name, dirtree_remove_entry(&removal, dirfd, name));
    return removal.error;
}

int dirtree_remove(int dirfd, const char *name)
{
    return dirtree_remove_telling(dirfd, name, NULL);
}
