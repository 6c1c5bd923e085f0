/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mount_check.h - is the same mounted at the served directories, in this rank as in the root?
 *
 * Ranks may be in containers of different kinds, and one may have something else where the root has
 * a served directory. Each rank compares, by its mountinfo: which costs the shared file system
 * nothing, as an inode number would. What is the same everywhere if the file system is:
 *
 * - of a network file system its type, the path that its source names, and the path from there. Not
 *   the server, which may have several names or addresses, nor the device number, which each node
 *   makes up. A directory may be mounted itself, or one above it.
 * - of a local one the path from its own root; neither its type nor its device: containers of one
 *   image have a loop device or an overlay each, and so has each node. (FASTIMPORT_FS=all vouches
 *   for local directories.)
 * - what is mounted below, for a package may have been bound over another; but not what
 *   automounters and NFS mount by themselves on first use. Where an automounter has not mounted
 *   anything yet, nothing is known, and all is taken for the same.
 *
 * So two FUSE programs without a source that tells are not told apart.
 */
#ifndef FASTIMPORT_POLICY_MOUNT_CHECK_H
#define FASTIMPORT_POLICY_MOUNT_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/policy.h"

struct mount_check {
    uint64_t roots[POLICY_ROOTS]; /* as in the policy; see mounts_identity() */
};

/* The root's. */
void mount_check_look(const struct policy *policy, struct mount_check *out);

/* Excludes from the policy what is another directory here. Returns how many. */
int mount_check_exclude(struct policy *policy, const struct mount_check *theirs);

#endif
