/* SPDX-License-Identifier: BSD-3-Clause */
/* fs.c - see fs.h */
#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fs *fs_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

struct fs_inode *fs_inode_of(struct fs *fs, fuse_ino_t ino)
{
    return ino == FUSE_ROOT_ID ? &fs->root : (struct fs_inode *)(uintptr_t)ino;
}

int fs_fd_of(struct fs *fs, fuse_ino_t ino)
{
    return fs_inode_of(fs, ino)->fd;
}

struct fs_proc_path fs_proc_path(int fd)
{
    struct fs_proc_path p;
    snprintf(p.text, sizeof p.text, "/proc/self/fd/%d", fd);
    return p;
}

/* The pointer in the hash table that points to this inode, or the one that would. The caller holds
 * fs->lock. */
static struct fs_inode **inode_slot(struct fs *fs, dev_t dev, ino_t ino)
{
    uint64_t hash = (ino ^ (dev << 20)) * 0x9e3779b97f4a7c15ull;
    struct fs_inode **slot = &fs->bucket[hash >> 50];
    while (*slot != NULL && ((*slot)->dev != dev || (*slot)->ino != ino)) {
        slot = &(*slot)->next;
    }
    return slot;
}

/* Finds the file in the table, or adds it. Takes ownership of `fd`. Returns NULL without memory. */
static struct fs_inode *inode_enter(struct fs *fs, int fd, const struct stat *st)
{
    pthread_mutex_lock(&fs->lock);
    struct fs_inode **slot = inode_slot(fs, st->st_dev, st->st_ino);
    bool known = *slot != NULL;
    if (!known) {
        *slot = calloc(1, sizeof **slot);
        if (*slot != NULL) {
            **slot = (struct fs_inode){.dev = st->st_dev, .ino = st->st_ino, .fd = fd};
        }
    }
    struct fs_inode *inode = *slot;
    if (inode != NULL) {
        inode->lookups++;
    }
    pthread_mutex_unlock(&fs->lock);
    if (known || inode == NULL) {
        close(fd);
    }
    return inode;
}

int fs_inode_find(struct fs *fs, int dir, const char *name, struct fuse_entry_param *e)
{
    memset(e, 0, sizeof *e);
    int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    if (fstatat(fd, "", &e->attr, AT_EMPTY_PATH) != 0) {
        int error = errno;
        close(fd);
        return error;
    }
    struct fs_inode *inode = inode_enter(fs, fd, &e->attr);
    if (inode == NULL) {
        return ENOMEM;
    }
    e->ino = (fuse_ino_t)(uintptr_t)inode;
    e->attr_timeout = fs->o.attr_timeout;
    e->entry_timeout = fs->o.entry_timeout;
    return 0;
}

void fs_inode_forget(struct fs *fs, fuse_ino_t ino, uint64_t lookups)
{
    struct fs_inode *inode = fs_inode_of(fs, ino), *dead = NULL;

    if (inode == &fs->root) {
        return;
    }
    pthread_mutex_lock(&fs->lock);
    inode->lookups -= lookups;
    if (inode->lookups == 0) {
        *inode_slot(fs, inode->dev, inode->ino) = inode->next;
        dead = inode;
    }
    pthread_mutex_unlock(&fs->lock);
    if (dead != NULL) {
        close(dead->fd);
        free(dead);
    }
}

bool fs_inode_unchanged(struct fs *fs, struct fs_inode *inode, const struct stat *st)
{
    struct fs_version now = {.known = true, .mtime = st->st_mtim, .size = st->st_size};

    pthread_mutex_lock(&fs->lock);
    struct fs_version old = inode->opened;
    inode->opened = now;
    pthread_mutex_unlock(&fs->lock);
    return !old.known || (old.mtime.tv_sec == now.mtime.tv_sec &&
                          old.mtime.tv_nsec == now.mtime.tv_nsec && old.size == now.size);
}

/* The name of a process, or "-". */
static void comm_of(pid_t pid, char *out, size_t size)
{
    char path[40];
    ssize_t n = -1;

    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    int fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        n = read(fd, out, size - 1);
        close(fd);
    }
    out[n > 0 ? n - 1 : 0] = '\0'; /* without the newline */
    if (n <= 0) {
        snprintf(out, size, "-");
    }
}

/* Writes one line by one write(), so that the lines of several mounts do not mix. */
static void log_operation(struct fs *fs, fuse_req_t req, enum sfs_op op, struct fs_place where,
                          uint64_t bytes, int error)
{
    char path[4096], comm[32], line[8192];
    pid_t pid = fuse_req_ctx(req)->pid;
    ssize_t n = readlink(fs_proc_path(where.fd).text, path, sizeof path - 1);

    path[n > 0 ? n : 0] = '\0';
    comm_of(pid, comm, sizeof comm);
    int length = snprintf(line, sizeof line, "%ju\t%u\t%s\t%d\t%s\t%ju\t%s\t%s%s%s\t%jd\n",
                          (uintmax_t)((sfs_now() - fs->started) / 1000), fs->o.node,
                          sfs_op_name(op), (int)pid, comm, (uintmax_t)bytes,
                          error ? strerrorname_np(error) : "0", path, where.name != NULL ? "/" : "",
                          where.name != NULL ? where.name : "", (intmax_t)where.offset);
    if (length > 0 && (size_t)length < sizeof line && write(fs->log_fd, line, (size_t)length) < 0) {
        return; /* the file system works on when the disk of the log is full */
    }
}

void fs_served(fuse_req_t req, enum sfs_op op, uint64_t start, struct fs_place where,
               uint64_t bytes, int error)
{
    struct fs *fs = fs_of(req);

    if (!fs->counting) {
        return;
    }
    pid_t tid = fuse_req_ctx(req)->pid;
    start = pace_request(fs->pace, tid, start);
    uint64_t due = sfs_state_reserve(fs->state, &fs->o.costs, op, bytes, start) - fs->o.fuse_ns;
    sfs_state_count(fs->state, fs->o.node, op, bytes);
    if (fs->log_fd >= 0) {
        log_operation(fs, req, op, where, bytes, error);
    }
    if (due > sfs_now()) {
        sfs_sleep_until(due);
    }
    pace_answer(fs->pace, tid);
}

bool fs_refused(fuse_req_t req, enum sfs_op op, uint64_t start, struct fs_place where,
                uint64_t bytes, int error)
{
    fs_served(req, op, start, where, bytes, error);
    if (error) {
        fuse_reply_err(req, error);
    }
    return error != 0;
}

struct fs_place fs_place_of(fuse_req_t req, fuse_ino_t ino)
{
    return (struct fs_place){.fd = fs_fd_of(fs_of(req), ino)};
}
