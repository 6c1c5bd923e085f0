/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mount_check.h - is the same mounted at the served directories in this rank as in the root?
 *
 * Ranks may be in different containers, and one may have something else where the root has a served
 * directory. Each rank compares with the root by its own mountinfo, which asks the shared file
 * system nothing (an inode number would). Compared is what is the same everywhere if the file
 * system is:
 *
 * - Of a network file system: its type, the path in its source, and the path from there. Not the
 *   server, which may have several names and addresses. Not the device number, which differs
 *   between nodes. It makes no difference whether the directory itself is mounted, or one above it.
 * - Of a local file system: the path from its own root. Neither its type nor its device, since
 *   containers of one image have a loop device or an overlay each, and so has each node.
 *   (FASTIMPORT_FS=all is the user's promise that local directories are the same.)
 * - What is mounted below the directory, for a package may have been bound over another one; but
 *   not what automounters and NFS mount by themselves on first use. Where an automounter has not
 *   mounted anything yet, nothing is known, and the directories are taken for the same.
 *
 * So two FUSE file systems whose sources are the same cannot be told apart.
 *
 * Thread rules: any thread; a policy must not be used while it is changed.
 */
#ifndef FASTIMPORT_POLICY_MOUNT_CHECK_H
#define FASTIMPORT_POLICY_MOUNT_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/policy.h"

struct mount_check {
    /* mounts_identity() of each of the policy's roots; 0: not known */
    uint64_t roots[POLICY_ROOTS];
    /* st_dev of each root's file system; 0: not known */
    uint64_t devices[POLICY_ROOTS];
};

/* One file system has another st_dev on each node that mounts it: the root's, and that of this
 * node. */
struct device_map {
    size_t n;
    struct {
        uint64_t there, here;
    } pairs[POLICY_ROOTS];
};

/* For the root: fills in *out for its policy. */
void mount_check_look(const struct policy *policy, struct mount_check *out);

/* For the other ranks: excludes those roots from the policy that are a different mount here than in
 * the root (theirs). Returns how many. */
int mount_check_exclude(struct policy *policy, const struct mount_check *theirs);

/* The same: fills in *out with the devices that differ. */
void mount_check_map(const struct policy *policy, const struct mount_check *theirs,
                     struct device_map *out);

#endif
