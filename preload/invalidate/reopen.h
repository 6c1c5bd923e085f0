/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reopen.h - replaces descriptors of mirror files whose original is about to change or to lose its
 * name.
 *
 * A program that has a file open for reading and then writes to the file in place must read what it
 * has written. And when it removes the name of the file, the descriptor is all that is left of it.
 * So the descriptors of this process that refer to the mirror file are replaced by descriptors of
 * the original, at the same offset (dup3(2)). Descriptors of other processes stay.
 *
 * Thread rules: any thread. A read() under way in another thread finishes on the old descriptor. The
 * replacement waits for a moment in which no other thread reads, for 10 ms at most. A reader that the
 * kernel stops for longer may get once more what it has read last.
 */
#ifndef FASTIMPORT_INVALIDATE_REOPEN_H
#define FASTIMPORT_INVALIDATE_REOPEN_H

#include "base/path.h"
#include "cache/node.h"

/* Replaces the descriptors of one file. original: its struct stat; path: where it is. */
void reopen_on_original(const struct node_cache *node, const struct stat *original,
                        const char *path);
/* Replaces all: a directory or a symlink is about to go, and with it the paths by which files were
 * opened. */
void reopen_all_on_originals(const struct node_cache *node);

/* If the descriptor is that of a mirror file, and the original is still at the path by which it was
 * opened: true, and that path. */
bool reopen_path(const struct node_cache *node, int fd, char path[FI_PATH_MAX]);

#endif
