/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mounts.h - on which file system is a path? By /proc/self/mountinfo (proc_pid_mountinfo(5)), which
 * asks no server.
 *
 * Thread rules: any thread. All but mounts_read() are pure functions of the text.
 */
#ifndef FASTIMPORT_POLICY_MOUNTS_H
#define FASTIMPORT_POLICY_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/path.h"

enum { MOUNT_TYPE_MAX = 64 };

struct mount_place {
    char type[MOUNT_TYPE_MAX]; /* such as "nfs4"; "unknown": the text does not tell */
    size_t mount_length;       /* the mount point is so much of the path */
    bool has_server; /* the source names a server or a device, and is not just some word */
    /* The file system's source, a blank, and the path from the file system's own root. On nodes
     * that have mounted the same network file system these are equal. */
    char where[3 * FI_PATH_MAX];
    size_t source_length; /* the source is so much of `where` */
};

/* A line of mountinfo. */
struct mount_entry {
    char root[FI_PATH_MAX];  /* what of the file system is mounted */
    char mount[FI_PATH_MAX]; /* where */
    char options[512];       /* of the file system, with commas between them */
};

/* Reads this process's mountinfo. The caller frees it. NULL: no memory; "": it cannot be read. */
char *mounts_read(void);

/* Reads the next line with a file system of this type, and moves *at behind it. Start with the text.
 * False: there is none. */
bool mounts_next(const char **at, const char *type, struct mount_entry *out);

/* Finds the place of a normal path. */
void mounts_find(const char *mountinfo, const char *path, struct mount_place *out);

/* The st_dev of what is on the file system where a normal path is. 0: not known. */
dev_t mounts_device(const char *mountinfo, const char *path);

/* A number for what is mounted at and below a normal path: equal in another process that has the
 * same there. 0: not known, so it may be anything. mount_check.h says what counts. */
uint64_t mounts_identity(const char *mountinfo, const char *path);

/* Is a file system of this type reached over a network? */
bool mounts_is_network(const char *type);

#endif
