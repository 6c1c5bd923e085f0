/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reopen.h - descriptors of mirror files whose original is about to change, or to lose its name.
 *
 * A program that holds a file open for reading, and then writes to it in place, must read what it
 * has written; and when it removes the file's name, the descriptor is all that is left of it. So
 * the descriptors of this process that stand for the file are replaced by descriptors of the
 * original, at the same offset. Other processes keep what they have.
 *
 * Thread rules: any thread. A read() under way in another thread ends on the old descriptor.
 */
#ifndef FASTIMPORT_INVALIDATE_REOPEN_H
#define FASTIMPORT_INVALIDATE_REOPEN_H

#include "base/path.h"
#include "cache/node.h"

/* Those of one file. original: its struct stat; path: where it is. */
void reopen_on_original(const struct node_cache *node, const struct stat *original,
                        const char *path);
/* All: a directory or a symlink goes, and whatever was opened by way of it. */
void reopen_all_on_originals(const struct node_cache *node);

/* If the descriptor is a mirror file's, and the original is still at the path by which it was
 * opened: that path. */
bool reopen_path(const struct node_cache *node, int fd, char path[FI_PATH_MAX]);

#endif
