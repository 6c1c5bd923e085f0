/*
 * One mount: the client of one emulated node. Internal to sharedfs.
 *
 * Every handler does the real operation on the source tree, then calls fs_served(), which counts
 * it, logs it and waits until the emulated answer is due, and only then replies: when a system call
 * returns, it has been counted.
 *
 * Handlers run in many threads at once. The source is reached through O_PATH descriptors only,
 * never by name, so a source may be mounted over itself.
 */
#ifndef SHAREDFS_FS_H
#define SHAREDFS_FS_H

#define FUSE_USE_VERSION 312

#include "state.h"

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>

enum { FS_BUCKETS = 1 << 14 };

/* What one file or directory was like when this client last opened it. */
struct fs_version {
    bool known; /* false: never opened, so nothing of it is cached */
    struct timespec mtime;
    off_t size;
};

/* A file of the source that the kernel knows; the kernel's node id is its address. Guarded by
 * fs->lock. */
struct fs_inode {
    struct fs_inode *next; /* in its bucket */
    dev_t dev;
    ino_t ino;
    int fd; /* O_PATH; constant */
    uint64_t lookups;
    struct fs_version opened;
};

struct fs_options {
    const char *source, *mountpoint, *state_path, *log_path;
    unsigned node;
    struct sfs_costs costs;
    double attr_timeout, entry_timeout, negative_timeout; /* seconds */
    unsigned readahead, max_read;                         /* bytes */
    unsigned threads;
    bool keep_cache;
    bool read_only;
    bool foreground;
    int until; /* end when this process ends; 0: no such process */
};

struct fs {
    struct fs_options o;
    struct sfs_state *state;
    int log_fd;   /* -1: no log */
    int ready_fd; /* the starting process waits for a byte there; -1: it is this one */
    uint64_t started;
    bool shook_hands;      /* with the kernel; the first reply's thread only */
    _Atomic bool counting; /* the mount is set up: operations count and cost from now on */
    _Atomic bool failed;   /* it could not be set up */
    struct fs_inode root;
    pthread_mutex_t lock;
    struct fs_inode *bucket[FS_BUCKETS];
};

/* Where an operation happened, for the log: a file, or a name in a directory. */
struct fs_place {
    int fd;
    const char *name;
};

struct fs *fs_of(fuse_req_t req);
struct fs_inode *fs_inode_of(struct fs *fs, fuse_ino_t ino);
int fs_fd_of(struct fs *fs, fuse_ino_t ino);

/*
 * Looks `name` up in the directory and fills `e`; one more lookup is held by the kernel then.
 * Returns 0 or an errno.
 */
int fs_inode_find(struct fs *fs, int dir, const char *name, struct fuse_entry_param *e);
void fs_inode_forget(struct fs *fs, fuse_ino_t ino, uint64_t lookups);

/* True if the file is as it was when it was last opened here: cached pages may be kept
 * (close-to-open). */
bool fs_inode_unchanged(struct fs *fs, struct fs_inode *inode, const struct stat *st);

/* Counts, logs and waits; `error` is 0 or an errno, `start` the time the handler began. */
void fs_served(fuse_req_t req, enum sfs_op op, uint64_t start, struct fs_place where,
               uint64_t bytes, int error);

/* Adds the handlers of each kind to a table. */
void fs_read_handlers(struct fuse_lowlevel_ops *ops);
void fs_write_handlers(struct fuse_lowlevel_ops *ops);

/* "/proc/self/fd/N": reopens or names what an O_PATH descriptor stands for. */
struct fs_proc_path {
    char text[40];
};
struct fs_proc_path fs_proc_path(int fd);

#endif
