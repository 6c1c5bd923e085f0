/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fs.h - one mount: the client of one emulated node. Internal to sharedfs.
 *
 * Each handler does the real operation on the source tree. Then it calls fs_served(), which counts
 * and logs the operation and waits until the emulated answer is due. Only then it replies. So an
 * operation is counted before the system call of the program returns.
 *
 * Many threads run handlers at once. Handlers reach the source through O_PATH descriptors only,
 * never by name, so that a source may be mounted over itself.
 */
#ifndef SHAREDFS_FS_H
#define SHAREDFS_FS_H

#define FUSE_USE_VERSION 312

#include "pace.h"
#include "state.h"

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>

enum { FS_BUCKETS = 1 << 14 };

/* The version of a file or directory that this client last opened. */
struct fs_version {
    bool known; /* false: never opened, so nothing of it is cached */
    struct timespec mtime;
    off_t size;
};

/* A file of the source that the kernel knows. Its address is the kernel's node id. fs->lock guards
 * it. */
struct fs_inode {
    struct fs_inode *next; /* in the same bucket */
    dev_t dev;
    ino_t ino;
    int fd; /* O_PATH; does not change */
    uint64_t lookups;
    struct fs_version opened;
};

struct fs_options {
    const char *source, *mountpoint, *state_path, *log_path;
    unsigned node;
    struct sfs_costs costs;
    uint64_t fuse_ns; /* what FUSE takes of a round trip; the server answers so much earlier */
    double dilate;    /* by pace.h; the costs have it already */
    double attr_timeout, entry_timeout, negative_timeout; /* seconds */
    unsigned readahead, max_read;                         /* bytes */
    unsigned threads;
    bool keep_cache;
    bool read_only;
    bool foreground;
    int until; /* unmount when this process ends; 0: do not wait for a process */
};

struct fs {
    struct fs_options o;
    struct sfs_state *state;
    struct pace *pace; /* NULL: no dilation */
    int log_fd;        /* -1: no log */
    int ready_fd;      /* `sharedfs mount` waits for a byte here; -1: --foreground, nobody waits */
    uint64_t started;
    bool shook_hands;      /* FUSE_INIT was answered; used by the thread of the first reply only */
    _Atomic bool counting; /* the mount is ready: operations are counted and charged */
    _Atomic bool failed;   /* the mount could not be made ready */
    struct fs_inode root;
    pthread_mutex_t lock;
    struct fs_inode *bucket[FS_BUCKETS];
};

/* The subject of an operation, for the log: a file, or a name in a directory (else NULL). */
struct fs_place {
    int fd;
    const char *name;
    off_t offset; /* of a read or a write */
};

struct fs *fs_of(fuse_req_t req);
struct fs_inode *fs_inode_of(struct fs *fs, fuse_ino_t ino);
int fs_fd_of(struct fs *fs, fuse_ino_t ino);

/*
 * Looks `name` up in the directory `dir` and fills `e`. On success the kernel holds one more
 * lookup. Returns 0 or an errno.
 */
int fs_inode_find(struct fs *fs, int dir, const char *name, struct fuse_entry_param *e);
void fs_inode_forget(struct fs *fs, fuse_ino_t ino, uint64_t lookups);

/* True if the file has not changed since this client last opened it, so that the kernel may keep
 * the cached pages (close-to-open consistency). Remembers `st` as the version that was opened. */
bool fs_inode_unchanged(struct fs *fs, struct fs_inode *inode, const struct stat *st);

/* Counts the operation, logs it and waits until its answer is due. `error` is 0 or an errno,
 * `start` the time at which the handler began (sfs_now()), `bytes` those read or written. */
void fs_served(fuse_req_t req, enum sfs_op op, uint64_t start, struct fs_place where,
               uint64_t bytes, int error);

/* fs_served(), and then replies with `error` unless it is 0. Returns true if it has replied. */
bool fs_refused(fuse_req_t req, enum sfs_op op, uint64_t start, struct fs_place where,
                uint64_t bytes, int error);

/* The file of a request as the subject of its operation. */
struct fs_place fs_place_of(fuse_req_t req, fuse_ino_t ino);

/* Adds the handlers of each kind to a table. */
void fs_read_handlers(struct fuse_lowlevel_ops *ops);
void fs_write_handlers(struct fuse_lowlevel_ops *ops);

/* "/proc/self/fd/N": a name by which the file of an O_PATH descriptor can be opened again. */
struct fs_proc_path {
    char text[40];
};
struct fs_proc_path fs_proc_path(int fd);

#endif
