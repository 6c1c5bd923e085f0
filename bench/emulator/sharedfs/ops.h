/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ops.h - the operations that a sharedfs client sends to the emulated server, each named once.
 *
 * X(name, class):
 *   META   one request to the metadata server. It costs a round trip and a turn in the queue of the
 *          server, and is part of "metadata_ops" in the statistics.
 *   DATA   costs a round trip and the time of its bytes at the bandwidth.
 *   LOCAL  is counted and costs nothing; not part of "metadata_ops". An NFS client sends nothing
 *          (flush of a clean file, access checks from cached attributes, extended attributes) or
 *          does not wait for the answer (release).
 *
 * The order is part of the format of the state file (SFS_STATE_VERSION).
 */
#ifndef SHAREDFS_OPS_H
#define SHAREDFS_OPS_H

#define SFS_OPS(X)                                                                                 \
    X(lookup, META)                                                                                \
    X(lookup_negative, META)                                                                       \
    X(getattr, META)                                                                               \
    X(readlink, META)                                                                              \
    X(open, META)                                                                                  \
    X(opendir, META)                                                                               \
    X(readdir, META)                                                                               \
    X(statfs, META)                                                                                \
    X(setattr, META)                                                                               \
    X(create, META)                                                                                \
    X(mknod, META)                                                                                 \
    X(mkdir, META)                                                                                 \
    X(symlink, META)                                                                               \
    X(link, META)                                                                                  \
    X(unlink, META)                                                                                \
    X(rmdir, META)                                                                                 \
    X(rename, META)                                                                                \
    X(fsync, META)                                                                                 \
    X(fallocate, META)                                                                             \
    X(read, DATA)                                                                                  \
    X(write, DATA)                                                                                 \
    X(release, LOCAL)                                                                              \
    X(releasedir, LOCAL)                                                                           \
    X(flush, LOCAL)                                                                                \
    X(access, LOCAL)                                                                               \
    X(xattr, LOCAL)

#define SFS_OP_ENUM(name, class) SFS_OP_##name,
enum sfs_op { SFS_OPS(SFS_OP_ENUM) SFS_OP_COUNT };
#undef SFS_OP_ENUM

enum sfs_op_class { SFS_META, SFS_DATA, SFS_LOCAL };

/* The name of an operation in the statistics, and its class. */
const char *sfs_op_name(enum sfs_op op);
enum sfs_op_class sfs_op_class(enum sfs_op op);

#endif
