/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mounts.h - which file system is a path on? By /proc/self/mountinfo (proc_pid_mountinfo(5)), which
 * asks no server. Pure functions of its text, but for mounts_read().
 */
#ifndef FASTIMPORT_POLICY_MOUNTS_H
#define FASTIMPORT_POLICY_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/path.h"

enum { MOUNT_TYPE_MAX = 64 };

struct mount_place {
    char type[MOUNT_TYPE_MAX]; /* as "nfs4"; "unknown": the text does not tell */
    size_t mount_length;       /* so much of the path is the mount point */
    bool has_server; /* the source names one, or a device: it is not just a program's name */
    /* Where in which file system: its source and the path from its own root. Of a network file
     * system, nodes that have mounted the same have the same. */
    char where[3 * FI_PATH_MAX];
    size_t source_length; /* so much of it */
};

/* The mounts of this process, to be freed by the caller; NULL: no memory. */
char *mounts_read(void);

/* For a normal path. */
void mounts_find(const char *mountinfo, const char *path, struct mount_place *out);

/* What is mounted at a normal path, and below it, as a number: equal in another process that has
 * the same there. 0: not known, it may be anything. See mount_check.h for what counts. */
uint64_t mounts_identity(const char *mountinfo, const char *path);

/* Is a file system of this type reached over a network? */
bool mounts_is_network(const char *type);

#endif
