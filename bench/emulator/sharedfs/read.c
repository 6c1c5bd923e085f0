/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * read.c - the handlers that only read the source.
 */
#include "fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { MAX_REQUEST = 1 << 20 };

/* An open directory. `next` is an entry that was read and did not fit into the last reply. */
struct dir_handle {
    pthread_mutex_t lock;
    DIR *stream;
    struct dirent *next;
    off_t offset;
};

static void handle_init(void *userdata, struct fuse_conn_info *conn)
{
    const struct fs *fs = userdata;

    /* Without readdirplus, so that the lookup of each name counts. The kernel itself removes the
     * set-user-id bits of a file that is written. */
    conn->want &=
        ~(unsigned)(FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_HANDLE_KILLPRIV);
    conn->want |= conn->capable & FUSE_CAP_CACHE_SYMLINKS;
    conn->max_write = MAX_REQUEST; /* also sets the largest request of any kind */
    conn->max_read = fs->o.max_read;
    conn->max_background = fs->o.threads;
    conn->congestion_threshold = fs->o.threads;
}

static void handle_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    uint64_t start = sfs_now();
    struct fs *fs = fs_of(req);
    struct fs_place where = {fs_fd_of(fs, parent), name, 0};
    struct fuse_entry_param e;
    int error = fs_inode_find(fs, where.fd, name, &e);

    fs_served(req, error == ENOENT ? SFS_OP_lookup_negative : SFS_OP_lookup, start, where, 0,
              error);
    if (error == ENOENT && fs->o.negative_timeout > 0) {
        e = (struct fuse_entry_param){.entry_timeout = fs->o.negative_timeout};
        error = 0;
    }
    if (error) {
        fuse_reply_err(req, error);
    } else {
        fuse_reply_entry(req, &e);
    }
}

static void handle_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
    fs_inode_forget(fs_of(req), ino, lookups);
    fuse_reply_none(req);
}

static void handle_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++) {
        fs_inode_forget(fs_of(req), forgets[i].ino, forgets[i].nlookup);
    }
    fuse_reply_none(req);
}

static void handle_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    uint64_t start = sfs_now();
    struct fs *fs = fs_of(req);
    struct fs_place where = fs_place_of(req, ino);
    struct stat st;
    int error = fstatat(where.fd, "", &st, AT_EMPTY_PATH) ? errno : 0;

    if (!fs_refused(req, SFS_OP_getattr, start, where, 0, error)) {
        fuse_reply_attr(req, &st, fs->o.attr_timeout);
    }
}

static void handle_readlink(fuse_req_t req, fuse_ino_t ino)
{
    uint64_t start = sfs_now();
    struct fs_place where = fs_place_of(req, ino);
    char target[PATH_MAX + 1];
    ssize_t n = readlinkat(where.fd, "", target, sizeof target - 1);
    int error = n < 0 ? errno : 0;

    if (fs_refused(req, SFS_OP_readlink, start, where, 0, error)) {
        return;
    }
    target[n] = '\0';
    fuse_reply_readlink(req, target);
}

/* The flags of the caller without those that the lookup of the name has applied, and without
 * O_DIRECT, which would need aligned buffers. */
static int reopen_flags(int flags)
{
    return (flags & ~(O_NOFOLLOW | O_DIRECT | O_CREAT | O_EXCL)) | O_CLOEXEC;
}

static void handle_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    uint64_t start = sfs_now();
    struct fs *fs = fs_of(req);
    struct fs_inode *inode = fs_inode_of(fs, ino);
    struct stat st;
    int fd = open(fs_proc_path(inode->fd).text, reopen_flags(fi->flags));
    int error = fd < 0 || fstat(fd, &st) ? errno : 0;

    fs_served(req, SFS_OP_open, start, (struct fs_place){.fd = inode->fd}, 0, error);
    if (error) {
        if (fd >= 0) {
            close(fd);
        }
        fuse_reply_err(req, error);
        return;
    }
    fi->keep_cache = fs_inode_unchanged(fs, inode, &st) && fs->o.keep_cache;
    fi->fh = (uint64_t)fd;
    if (fuse_reply_open(req, fi) != 0) {
        close(fd);
    }
}

static void handle_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                        struct fuse_file_info *fi)
{
    uint64_t start = sfs_now();
    struct fs_place where = fs_place_of(req, ino);
    char *buffer = malloc(size > 0 ? size : 1);
    ssize_t n = -1;
    int error = ENOMEM;

    where.offset = offset;
    if (buffer != NULL) {
        n = pread((int)fi->fh, buffer, size, offset);
        error = n < 0 ? errno : 0;
    }
    if (!fs_refused(req, SFS_OP_read, start, where, n > 0 ? (uint64_t)n : 0, error)) {
        fuse_reply_buf(req, buffer, (size_t)n);
    }
    free(buffer);
}

static void handle_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    fs_served(req, SFS_OP_release, sfs_now(), fs_place_of(req, ino), 0, 0);
    close((int)fi->fh);
    fuse_reply_err(req, 0);
}

/* Writes are not delayed, so that nothing is dirty at close. ENOSYS tells the kernel not to send
 * flush again. */
static void handle_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    fs_served(req, SFS_OP_flush, sfs_now(), fs_place_of(req, ino), 0, ENOSYS);
    fuse_reply_err(req, ENOSYS);
}

static struct dir_handle *dir_open(int dir)
{
    struct dir_handle *h = calloc(1, sizeof *h);
    int fd = h != NULL ? openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd >= 0 && (h->stream = fdopendir(fd)) != NULL) {
        pthread_mutex_init(&h->lock, NULL);
        return h;
    }
    int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    free(h);
    errno = error;
    return NULL;
}

static void dir_close(struct dir_handle *h)
{
    closedir(h->stream);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

/* An NFS client revalidates a directory when it is opened. An unchanged listing stays cached. */
static void handle_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    uint64_t start = sfs_now();
    struct fs *fs = fs_of(req);
    struct fs_inode *inode = fs_inode_of(fs, ino);
    struct stat st;
    struct dir_handle *h = dir_open(inode->fd);
    int error = h == NULL || fstat(dirfd(h->stream), &st) ? errno : 0;

    fs_served(req, SFS_OP_opendir, start, (struct fs_place){.fd = inode->fd}, 0, error);
    if (error) {
        if (h != NULL) {
            dir_close(h);
        }
        fuse_reply_err(req, error);
        return;
    }
    fi->cache_readdir = fs->o.keep_cache;
    fi->keep_cache = fs_inode_unchanged(fs, inode, &st) && fs->o.keep_cache;
    fi->fh = (uint64_t)(uintptr_t)h;
    if (fuse_reply_open(req, fi) != 0) {
        dir_close(h);
    }
}

static void dir_seek(struct dir_handle *h, off_t offset)
{
    if (offset == h->offset) {
        return;
    }
    seekdir(h->stream, offset);
    h->next = NULL;
    h->offset = offset;
}

/* Fills the buffer with entries of the stream. Returns the length, or -1 with errno. The caller
 * holds h->lock. */
static ssize_t dir_fill(fuse_req_t req, struct dir_handle *h, char *buffer, size_t size)
{
    size_t used = 0;

    for (;;) {
        errno = 0;
        struct dirent *d = h->next != NULL ? h->next : readdir(h->stream);
        if (d == NULL) {
            return errno != 0 && used == 0 ? -1 : (ssize_t)used;
        }
        struct stat st = {.st_ino = d->d_ino, .st_mode = DTTOIF(d->d_type)};
        size_t need = fuse_add_direntry(req, buffer + used, size - used, d->d_name, &st, d->d_off);
        h->next = need > size - used ? d : NULL;
        if (h->next != NULL) {
            return (ssize_t)used;
        }
        used += need;
        h->offset = d->d_off;
    }
}

static void handle_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                           struct fuse_file_info *fi)
{
    uint64_t start = sfs_now();
    struct dir_handle *h = (struct dir_handle *)(uintptr_t)fi->fh;
    char *buffer = malloc(size);
    ssize_t n = -1;
    int error = ENOMEM;

    if (buffer != NULL) {
        pthread_mutex_lock(&h->lock);
        dir_seek(h, offset);
        n = dir_fill(req, h, buffer, size);
        error = n < 0 ? errno : 0;
        pthread_mutex_unlock(&h->lock);
    }
    if (!fs_refused(req, SFS_OP_readdir, start, fs_place_of(req, ino), 0, error)) {
        fuse_reply_buf(req, buffer, (size_t)n);
    }
    free(buffer);
}

static void handle_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    fs_served(req, SFS_OP_releasedir, sfs_now(), fs_place_of(req, ino), 0, 0);
    dir_close((struct dir_handle *)(uintptr_t)fi->fh);
    fuse_reply_err(req, 0);
}

static void handle_statfs(fuse_req_t req, fuse_ino_t ino)
{
    uint64_t start = sfs_now();
    struct fs_place where = fs_place_of(req, ino);
    struct statvfs sv;
    int error = fstatvfs(where.fd, &sv) ? errno : 0;

    if (!fs_refused(req, SFS_OP_statfs, start, where, 0, error)) {
        fuse_reply_statfs(req, &sv);
    }
}

/* NFSv3 has no extended attributes. ENOSYS tells the kernel so: it sends the first call only. */
static void refuse_xattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    fs_served(req, SFS_OP_xattr, sfs_now(), (struct fs_place){fs_fd_of(fs_of(req), ino), name, 0},
              0, ENOSYS);
    fuse_reply_err(req, ENOSYS);
}

static void handle_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    (void)size;
    refuse_xattr(req, ino, name);
}

static void handle_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    (void)size;
    refuse_xattr(req, ino, NULL);
}

void fs_read_handlers(struct fuse_lowlevel_ops *ops)
{
    ops->init = handle_init;
    ops->lookup = handle_lookup;
    ops->forget = handle_forget;
    ops->forget_multi = handle_forget_multi;
    ops->getattr = handle_getattr;
    ops->readlink = handle_readlink;
    ops->open = handle_open;
    ops->read = handle_read;
    ops->release = handle_release;
    ops->flush = handle_flush;
    ops->opendir = handle_opendir;
    ops->readdir = handle_readdir;
    ops->releasedir = handle_releasedir;
    ops->statfs = handle_statfs;
    ops->getxattr = handle_getxattr;
    ops->listxattr = handle_listxattr;
}
