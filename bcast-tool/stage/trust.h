/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trust.h - may the tool believe what is in this directory? Only if no other user could have put it
 * there or can replace it, as with sshd's StrictModes.
 *
 * A directory is safe if it belongs to this user or to root, and nobody else may write to it. On
 * the way to DIR a directory with the sticky bit (/tmp) is good enough, as the name that is looked
 * up in it is checked next. All checks use open descriptors: what was checked is what is used.
 */
#ifndef BCAST_STAGE_TRUST_H
#define BCAST_STAGE_TRUST_H

#include "base/error.h"

/* Opens a directory for reading. Checks it, and each directory and symlink on the way to it.
 * Returns a descriptor, or -1. */
int trust_open(const char *path, struct error *err);

/* Is `top`, an open directory whose way is safe, safe itself, with the files that `stage` has
 * written into it? The sticky bit is not good enough here. `dir` is its name for messages. Returns
 * 0, or -1. */
int trust_tree(int top, const char *dir, struct error *err);

/* Both together. Returns a descriptor, or -1. */
int trust_open_tree(const char *dir, struct error *err);

#endif
