/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unpack.h - turns tar streams into a tree: the partial copy of one node.
 *
 * The order of calls: unpack_open(), unpack_layer() for each archive in order, unpack_finish(),
 * unpack_close(); all from one thread. A layer with a manifest is compared with it entry by entry,
 * and relocated on the way. A layer without one is taken as it is; unpack_finish() relocates it if
 * the old prefix can be found. The result has NAME_MANIFEST, which lists the tree.
 */
#ifndef BCAST_STAGE_UNPACK_H
#define BCAST_STAGE_UNPACK_H

#include <stdatomic.h>

#include "archive/tarread.h"

struct unpack_options {
    const char *dir;        /* absolute path that the tree will have, for relocation */
    const char *old_prefix; /* the prefix in archives without a manifest; NULL: find out */
    bool external_links;    /* accept absolute symlinks in archives without a manifest */
    int threads;
    struct tar_policy policy;
    _Atomic uint64_t *bytes, *files; /* progress; other threads may read it */
};

struct unpack; /* opaque */

/* `top` is the directory of the partial copy. It must be empty and stays the caller's. */
struct unpack *unpack_open(int top, const struct unpack_options *o, struct error *err);

/* `framing` says how the stream was cut: "gz", "zst", "none" for a tar with a seal,
 * FRAMING_UNLISTED. */
int unpack_layer(struct unpack *u, tar_next_block *next, void *context, const char *framing,
                 struct error *err);

int unpack_finish(struct unpack *u, struct error *err);

/* NULL is allowed. */
void unpack_close(struct unpack *u);

#endif
