/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * write.c - the handlers that change the source. A new file belongs to the caller: the handler
 * makes it under the user and group of the caller.
 */
#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/fsuid.h>
#include <unistd.h>

/* This thread takes the identity of the caller for permission checks and ownership of files. */
static void become_caller(fuse_req_t req)
{
    const struct fuse_ctx *ctx = fuse_req_ctx(req);
    if (ctx->uid != geteuid() || ctx->gid != getegid()) {
        setfsgid(ctx->gid);
        setfsuid(ctx->uid);
    }
}

static void become_self(void)
{
    setfsuid(geteuid());
    setfsgid(getegid());
}

/* Ends a handler that made a directory entry: looks the entry up and replies with it. */
static void reply_new_entry(fuse_req_t req, enum sfs_op op, uint64_t start, struct fs_place where,
                            int error)
{
    struct fuse_entry_param e;

    if (!error) {
        error = fs_inode_find(fs_of(req), where.fd, where.name, &e);
    }
    if (!fs_refused(req, op, start, where, 0, error)) {
        fuse_reply_entry(req, &e);
    }
}

static void handle_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                         dev_t rdev)
{
    uint64_t start = sfs_now();
    struct fs_place where = {fs_fd_of(fs_of(req), parent), name, 0};

    become_caller(req);
    int error = mknodat(where.fd, name, mode, rdev) ? errno : 0;
    become_self();
    reply_new_entry(req, SFS_OP_mknod, start, where, error);
}

static void handle_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    uint64_t start = sfs_now();
    struct fs_place where = {fs_fd_of(fs_of(req), parent), name, 0};

    become_caller(req);
    int error = mkdirat(where.fd, name, mode) ? errno : 0;
    become_self();
    reply_new_entry(req, SFS_OP_mkdir, start, where, error);
}

static void handle_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    uint64_t start = sfs_now();
    struct fs_place where = {fs_fd_of(fs_of(req), parent), name, 0};

    become_caller(req);
    int error = symlinkat(target, where.fd, name) ? errno : 0;
    become_self();
    reply_new_entry(req, SFS_OP_symlink, start, where, error);
}

static void handle_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    uint64_t start = sfs_now();
    struct fs *fs = fs_of(req);
    struct fs_place where = {fs_fd_of(fs, parent), name, 0};
    struct fs_proc_path old = fs_proc_path(fs_fd_of(fs, ino));
    int error = linkat(AT_FDCWD, old.text, where.fd, name, AT_SYMLINK_FOLLOW) ? errno : 0;

    reply_new_entry(req, SFS_OP_link, start, where, error);
}

static void handle_removal(fuse_req_t req, enum sfs_op op, fuse_ino_t parent, const char *name,
                           int flags)
{
    uint64_t start = sfs_now();
    struct fs_place where = {fs_fd_of(fs_of(req), parent), name, 0};
    int error = unlinkat(where.fd, name, flags) ? errno : 0;

    fs_served(req, op, start, where, 0, error);
    fuse_reply_err(req, error);
}

static void handle_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    handle_removal(req, SFS_OP_unlink, parent, name, 0);
}

static void handle_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    handle_removal(req, SFS_OP_rmdir, parent, name, AT_REMOVEDIR);
}

static void handle_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
                          const char *newname, unsigned flags)
{
    uint64_t start = sfs_now();
    struct fs *fs = fs_of(req);
    struct fs_place where = {fs_fd_of(fs, parent), name, 0};
    int error = renameat2(where.fd, name, fs_fd_of(fs, newparent), newname, flags) ? errno : 0;

    fs_served(req, SFS_OP_rename, start, where, 0, error);
    fuse_reply_err(req, error);
}

static void handle_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                          struct fuse_file_info *fi)
{
    uint64_t start = sfs_now();
    struct fs *fs = fs_of(req);
    struct fs_place where = {fs_fd_of(fs, parent), name, 0};
    struct fuse_entry_param e;
    int flags = (fi->flags & ~O_DIRECT) | O_CREAT | O_NOFOLLOW | O_CLOEXEC;

    become_caller(req);
    int fd = openat(where.fd, name, flags, mode);
    int error = fd < 0 ? errno : 0;
    become_self();
    if (!error) {
        error = fs_inode_find(fs, where.fd, name, &e);
    }
    if (!error) { /* create opens the file, too */
        fs_inode_unchanged(fs, fs_inode_of(fs, e.ino), &e.attr);
    }
    fs_served(req, SFS_OP_create, start, where, 0, error);
    fi->fh = (uint64_t)fd;
    if (error) {
        fuse_reply_err(req, error);
    }
    if (error ? fd >= 0 : fuse_reply_create(req, &e, fi) != 0) {
        close(fd);
    }
}

static void handle_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size,
                         off_t offset, struct fuse_file_info *fi)
{
    uint64_t start = sfs_now();
    struct fs_place where = fs_place_of(req, ino);
    ssize_t n = pwrite((int)fi->fh, data, size, offset);
    int error = n < 0 ? errno : 0;

    where.offset = offset;
    if (!fs_refused(req, SFS_OP_write, start, where, n > 0 ? (uint64_t)n : 0, error)) {
        fuse_reply_write(req, (size_t)n);
    }
}

static int set_owner(int fd, const struct stat *attr, int which)
{
    uid_t uid = which & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1;
    gid_t gid = which & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1;
    return fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
}

static int set_times(int fd, const struct stat *attr, int which)
{
    struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};

    if (which & FUSE_SET_ATTR_ATIME_NOW) {
        t[0].tv_nsec = UTIME_NOW;
    } else if (which & FUSE_SET_ATTR_ATIME) {
        t[0] = attr->st_atim;
    }
    if (which & FUSE_SET_ATTR_MTIME_NOW) {
        t[1].tv_nsec = UTIME_NOW;
    } else if (which & FUSE_SET_ATTR_MTIME) {
        t[1] = attr->st_mtim;
    }
    return utimensat(fd, "", t, AT_EMPTY_PATH);
}

/* Sets the attributes that `which` names. The order matters: chown clears the set-user-id bits, and
 * truncate sets the times. */
static int set_attributes(int fd, const struct stat *attr, int which,
                          const struct fuse_file_info *fi)
{
    const int times = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW |
                      FUSE_SET_ATTR_MTIME_NOW;
    struct fs_proc_path path = fs_proc_path(fd);

    if (which & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID) && set_owner(fd, attr, which) != 0) {
        return errno;
    }
    if (which & FUSE_SET_ATTR_MODE && chmod(path.text, attr->st_mode) != 0) {
        return errno;
    }
    if (which & FUSE_SET_ATTR_SIZE && (fi != NULL ? ftruncate((int)fi->fh, attr->st_size)
                                                  : truncate(path.text, attr->st_size)) != 0) {
        return errno;
    }
    if (which & times && set_times(fd, attr, which) != 0) {
        return errno;
    }
    return 0;
}

static void handle_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int which,
                           struct fuse_file_info *fi)
{
    uint64_t start = sfs_now();
    struct fs *fs = fs_of(req);
    struct fs_place where = fs_place_of(req, ino);
    struct stat st;
    int error = set_attributes(where.fd, attr, which, fi);

    if (!error && fstatat(where.fd, "", &st, AT_EMPTY_PATH) != 0) {
        error = errno;
    }
    if (!fs_refused(req, SFS_OP_setattr, start, where, 0, error)) {
        fuse_reply_attr(req, &st, fs->o.attr_timeout);
    }
}

static void handle_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    uint64_t start = sfs_now();
    int error = (datasync ? fdatasync((int)fi->fh) : fsync((int)fi->fh)) ? errno : 0;

    fs_served(req, SFS_OP_fsync, start, fs_place_of(req, ino), 0, error);
    fuse_reply_err(req, error);
}

static void handle_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)datasync;
    (void)fi;
    uint64_t start = sfs_now();
    struct fs_place where = fs_place_of(req, ino);
    int fd = openat(where.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 || fsync(fd) ? errno : 0;

    if (fd >= 0) {
        close(fd);
    }
    fs_served(req, SFS_OP_fsync, start, where, 0, error);
    fuse_reply_err(req, error);
}

static void handle_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                             struct fuse_file_info *fi)
{
    uint64_t start = sfs_now();
    int error = fallocate((int)fi->fh, mode, offset, length) ? errno : 0;

    fs_served(req, SFS_OP_fallocate, start, fs_place_of(req, ino), 0, error);
    fuse_reply_err(req, error);
}

void fs_write_handlers(struct fuse_lowlevel_ops *ops)
{
    ops->mknod = handle_mknod;
    ops->mkdir = handle_mkdir;
    ops->symlink = handle_symlink;
    ops->link = handle_link;
    ops->unlink = handle_unlink;
    ops->rmdir = handle_rmdir;
    ops->rename = handle_rename;
    ops->create = handle_create;
    ops->write = handle_write;
    ops->setattr = handle_setattr;
    ops->fsync = handle_fsync;
    ops->fsyncdir = handle_fsyncdir;
    ops->fallocate = handle_fallocate;
}
