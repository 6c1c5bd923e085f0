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
#include "base/path.h"
#include "base/protected_fd.h"
#include "base/sys.h"
#include "base/trust.h"

enum { GRACE_SECONDS = 60 }; /* older directories without a lock belong to a creator that died */

/* reserved address space; blocks are allocated as needed */
static const uint64_t index_capacity = 1ULL << 30;

static void node_file_name(const struct node_cache *node, const char *name, char out[NODE_PATH_MAX])
{
    snprintf(out, NODE_PATH_MAX, "%s/%s", node->directory, name);
}

static bool node_may_execute(const char *directory)
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

static void node_prefix(char out[64])
{
    snprintf(out, 64, "fastimport-%u-", (unsigned)getuid());
}

/* Creates the cache directory. Its random name cannot be guessed, so nobody can plant it. */
static int node_make_directory(struct node_cache *node, const char *base, uint64_t nonce)
{
    char prefix[64];
    int n;

    node_prefix(prefix);
    n = snprintf(node->directory, sizeof node->directory, "%s/%s%016llx", base, prefix,
                 (unsigned long long)nonce);
    if (n >= (int)sizeof node->directory) {
        return -ENAMETOOLONG;
    }
    node->directory_length = (size_t)n;
    return sys_mkdir(node->directory, 0700);
}

static int node_take_lock(struct node_cache *node, const char *name, int flags)
{
    char file[NODE_PATH_MAX];
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
        node->lock = protected_fd_add(fd, PROTECTED_OURS);
        error = node->lock < 0 ? -EMFILE : 0;
    }
    if (error != 0) {
        sys_close(fd);
    }
    return error;
}

/* Creates the lock under a temporary name and renames it once it is held: a job that sweeps at the
 * same time must never find a lock that nobody holds. */
static int node_make_lock(struct node_cache *node)
{
    char from[NODE_PATH_MAX];
    char to[NODE_PATH_MAX];
    int error = node_take_lock(node, "lock.new", O_CREAT | O_EXCL);

    if (error != 0) {
        return error;
    }
    node_file_name(node, "lock.new", from);
    node_file_name(node, "lock", to);
    error = sys_rename(from, to);
    if (error != 0) {
        protected_fd_close(node->lock);
    }
    return error;
}

static int node_populate(struct node_cache *node, uint32_t n_ranks, uint64_t nonce)
{
    char name[NODE_PATH_MAX];
    int error = node_make_lock(node);

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
        protected_fd_close(node->lock);
    }
    return error;
}

/* Finds the real name of the directory in which caches are made. A symlink in the name could be
 * turned elsewhere later, and who can replace a directory decides which libraries ranks load. */
static int node_find_base(const char *base, char real[FI_PATH_MAX])
{
    int error = sys_canonical(base, real, FI_PATH_MAX);

    return error != 0 ? error : trust_way(real, strlen(real));
}

int node_create(struct node_cache *node, const char *base, uint32_t n_ranks)
{
    char real[FI_PATH_MAX];
    uint64_t nonce;
    struct stat st;
    int error;

    if (getrandom(&nonce, sizeof nonce, 0) != sizeof nonce) {
        return -EIO;
    }
    error = node_find_base(base, real);
    if (error == 0) {
        error = node_make_directory(node, real, nonce);
    }
    if (error != 0) {
        return error;
    }
    error = node_populate(node, n_ranks, nonce);
    if (error != 0) {
        /* no free descriptor; the directory is still empty */
        if (dirtree_remove(AT_FDCWD, node->directory) != 0) {
            sys_unlinkat(AT_FDCWD, node->directory, AT_REMOVEDIR);
        }
        return error;
    }
    node->may_execute = node_may_execute(node->directory);
    node->index.header->may_execute = node->may_execute;
    node->index.header->mirror_device = sys_stat(node->directory, &st) == 0 ? st.st_dev : 0;
    return 0;
}

/* Is this a directory that only this user can enter? */
static bool node_is_private(int fd, uid_t user)
{
    struct stat st;

    return sys_fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == user &&
           (st.st_mode & 0777) == 0700;
}

int node_visit(struct node_cache *node, const char *directory, uint64_t nonce)
{
    char name[NODE_PATH_MAX];
    int fd = sys_open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    bool sound;
    int error;

    if (fd < 0) {
        return fd;
    }
    /* the user of program start, which the program cannot have changed */
    sound = node_is_private(fd, (uid_t)getauxval(AT_EUID));
    sys_close(fd);
    if (!sound || strlen(directory) >= sizeof node->directory ||
        trust_way(directory, path_parent_length(directory, strlen(directory))) != 0) {
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
        error = node_take_lock(node, "lock", 0);
        if (error != 0) {
            segment_detach(&node->index);
        }
    }
    return error;
}

enum { REMOVALS = 3, REMOVAL_NAP_NS = 2000000 };

/* Is this process the last user of the cache? It tries to get the lock exclusively, through the
 * lock's descriptor or, if the program has closed that, by opening the file again. */
static bool node_is_last_user(const struct node_cache *node)
{
    int fd = protected_fd_get(node->lock);
    char file[NODE_PATH_MAX];
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
    bool last = node->lock >= 0 && node_is_last_user(node);

    /* a look-up helper of this process may be creating a file there */
    for (int i = 0; last && i < REMOVALS && dirtree_remove(AT_FDCWD, node->directory) != 0; i++) {
        sys_nap_ns(REMOVAL_NAP_NS);
    }
    protected_fd_close(node->lock);
    node->lock = -1;
}

struct sweep {
    const char *base;
    char prefix[64];
    int removed;
};

/* Is the cache in this directory in use, or just being created? */
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

/* Removes a file that mpi/presence.h has left behind: it belongs to this user and no process has
 * locked a part of it. */
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
    char path[NODE_PATH_MAX];
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
    if (node_is_private(fd, geteuid()) && !node_in_use(fd)) {
        sweep->removed += dirtree_remove(AT_FDCWD, path) == 0;
    }
    sys_close(fd);
    return true;
}

int node_sweep(const char *base)
{
    char real[FI_PATH_MAX];
    struct sweep sweep = {.base = real};
    int fd = node_find_base(base, real) != 0
                 ? -1
                 : sys_open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

    if (fd < 0) {
        return 0;
    }
    node_prefix(sweep.prefix);
    dirtree_each(fd, sweep_one, &sweep);
    sys_close(fd);
    return sweep.removed;
}
