/* SPDX-License-Identifier: BSD-3-Clause */
/* node.c - see node.h */
#include "cache/node.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/dirtree.h"
#include "base/held.h"
#include "base/path.h"
#include "base/sys.h"

enum {
    GRACE_SECONDS = 60
}; /* a directory without a lock file this old was left by a dead creator */

static const uint64_t index_capacity = 1ULL
                                       << 30; /* address space; blocks are allocated as needed */

static void node_file_name(const struct node_cache *node, const char *name, char out[512])
{
    snprintf(out, 512, "%s/%s", node->directory, name);
}

static bool has_exec(const char *directory)
{
    struct statfs sf;
    int fd = sys_open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    bool noexec = false;

    if (fd >= 0) {
        noexec = sys_fstatfs(fd, &sf) == 0 && ((unsigned long)sf.f_flags & ST_NOEXEC) != 0;
        sys_close(fd);
    }
    return !noexec;
}

static void prefix_of(char out[64])
{
    snprintf(out, 64, "fastimport-%u-", (unsigned)getuid());
}

/* A directory under a name that nobody can guess or plant. */
static int make_directory(struct node_cache *node, const char *base, uint64_t nonce)
{
    char prefix[64];
    int n;

    prefix_of(prefix);
    n = snprintf(node->directory, sizeof node->directory, "%s/%s%016llx", base, prefix,
                 (unsigned long long)nonce);
    if (n >= (int)sizeof node->directory) {
        return -ENAMETOOLONG;
    }
    node->directory_length = (size_t)n;
    return sys_mkdir(node->directory, 0700);
}

static int take_lock(struct node_cache *node, const char *name, int flags)
{
    char file[512];
    int error;
    int fd;

    node->lock = -1;
    node_file_name(node, name, file);
    fd = sys_move_high(sys_open(file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600));
    if (fd < 0) {
        return fd;
    }
    error = sys_flock(fd, LOCK_SH | LOCK_NB);
    if (error == 0) {
        node->lock = held_add(fd, HELD_OURS);
        error = node->lock < 0 ? -EMFILE : 0;
    }
    if (error != 0) {
        sys_close(fd);
    }
    return error;
}

/* The lock gets its name when it is held: a job that sweeps at the same time must never see one
 * that nobody holds. */
static int make_lock(struct node_cache *node)
{
    char from[512];
    char to[512];
    int error = take_lock(node, "lock.new", O_CREAT | O_EXCL);

    if (error != 0) {
        return error;
    }
    node_file_name(node, "lock.new", from);
    node_file_name(node, "lock", to);
    error = sys_rename(from, to);
    if (error != 0) {
        held_close(node->lock);
    }
    return error;
}

static int populate(struct node_cache *node, uint32_t n_ranks, uint64_t nonce)
{
    char name[512];
    int error = make_lock(node);

    if (error != 0) {
        return error;
    }
    node_file_name(node, "files", name);
    error = sys_mkdir(name, 0700);
    if (error == 0) {
        node_file_name(node, "tmp", name);
        error = sys_mkdir(name, 0700);
    }
    if (error == 0) {
        node_file_name(node, "index", name);
        error = segment_create(&node->index, name, index_capacity, n_ranks, nonce);
    }
    if (error != 0) {
        held_close(node->lock);
    }
    return error;
}

int node_create(struct node_cache *node, const char *base, uint32_t n_ranks)
{
    uint64_t nonce;
    struct stat st;
    int error;

    if (getrandom(&nonce, sizeof nonce, 0) != sizeof nonce) {
        return -EIO;
    }
    error = make_directory(node, base, nonce);
    if (error != 0) {
        return error;
    }
    error = populate(node, n_ranks, nonce);
    if (error != 0) {
        if (dirtree_remove(AT_FDCWD, node->directory) != 0) { /* no descriptors: it is empty */
            sys_unlinkat(AT_FDCWD, node->directory, AT_REMOVEDIR);
        }
        return error;
    }
    node->may_execute = has_exec(node->directory);
    node->index.header->may_execute = node->may_execute;
    node->index.header->mirror_device = sys_stat(node->directory, &st) == 0 ? st.st_dev : 0;
    return 0;
}

/* Ours alone: a real directory, of this user, closed to all others. */
static bool is_private(int fd, uid_t user)
{
    struct stat st;

    return sys_fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == user &&
           (st.st_mode & 0777) == 0700;
}

int node_visit(struct node_cache *node, const char *directory, uint64_t nonce)
{
    char name[512];
    int fd = sys_open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    bool sound;
    int error;

    if (fd < 0) {
        return fd;
    }
    sound = is_private(fd, (uid_t)getauxval(AT_EUID)); /* at the start: nothing has changed it */
    sys_close(fd);
    if (!sound || strlen(directory) >= sizeof node->directory) {
        return -EPERM;
    }
    strcpy(node->directory, directory);
    node->directory_length = strlen(directory);
    node->lock = -1;
    node_file_name(node, "index", name);
    error = segment_attach(&node->index, name, nonce);
    node->may_execute = error == 0 && node->index.header->may_execute != 0;
    return error;
}

int node_attach(struct node_cache *node, const char *directory, uint64_t nonce)
{
    int error = node_visit(node, directory, nonce);

    if (error == 0) {
        error = take_lock(node, "lock", 0);
        if (error != 0) {
            segment_detach(&node->index);
        }
    }
    return error;
}

enum { REMOVALS = 3, REMOVAL_NAP_NS = 2000000 };

/* By the lock that we hold, or, if the program has closed its descriptor, by a new look at it. */
static bool is_last(const struct node_cache *node)
{
    int fd = held_fd(node->lock);
    char file[512];
    bool last;

    if (fd >= 0) {
        return sys_flock(fd, LOCK_EX | LOCK_NB) == 0;
    }
    node_file_name(node, "lock", file);
    fd = sys_open(file, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
    last = fd >= 0 && sys_flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fd >= 0) {
        sys_close(fd);
    }
    return last;
}

void node_leave(struct node_cache *node)
{
    bool last = node->lock >= 0 && is_last(node);

    /* a helper of this process may be about to put a file there */
    for (int i = 0; last && i < REMOVALS && dirtree_remove(AT_FDCWD, node->directory) != 0; i++) {
        sys_nap_ns(REMOVAL_NAP_NS);
    }
    held_close(node->lock);
    node->lock = -1;
}

struct sweep {
    const char *base;
    char prefix[64];
    int removed;
};

/* Does a process still use the cache in this directory, or is one just making it? */
static bool node_in_use(int fd)
{
    struct stat st;
    int lock = sys_openat(fd, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
    bool held;

    if (lock < 0) {
        return sys_fstat(fd, &st) != 0 || time(NULL) - st.st_mtime < GRACE_SECONDS;
    }
    held = sys_flock(lock, LOCK_EX | LOCK_NB) != 0;
    sys_close(lock);
    return held;
}

/* What mpi/presence.h has left: a file of this user of which nobody has locked a part. */
static bool sweep_file(const char *path)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct stat st;
    int fd = sys_open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    bool removed = false;

    if (fd < 0) {
        return false;
    }
    if (sys_fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
        sys_fcntl(fd, F_OFD_SETLK, (long)&all) == 0 && sys_fstat(fd, &st) == 0 && st.st_nlink > 0) {
        removed = sys_unlink(path) == 0;
    }
    sys_close(fd);
    return removed;
}

static bool sweep_one(void *context, const char *name, unsigned char type)
{
    struct sweep *sweep = context;
    char path[512];
    int fd;

    (void)type;
    if (strncmp(name, sweep->prefix, strlen(sweep->prefix)) != 0 ||
        !path_join(path, sizeof path, sweep->base, name)) {
        return true;
    }
    if (path_ends_with(name, ".ranks")) {
        sweep->removed += sweep_file(path);
        return true;
    }
    fd = sys_open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd < 0) {
        return true;
    }
    if (is_private(fd, geteuid()) && !node_in_use(fd)) {
        sweep->removed += dirtree_remove(AT_FDCWD, path) == 0;
    }
    sys_close(fd);
    return true;
}

int node_sweep(const char *base)
{
    struct sweep sweep = {.base = base};
    int fd = sys_open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

    if (fd < 0) {
        return 0;
    }
    prefix_of(sweep.prefix);
    dirtree_each(fd, sweep_one, &sweep);
    sys_close(fd);
    return sweep.removed;
}
