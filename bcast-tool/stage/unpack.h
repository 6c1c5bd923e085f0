/* Turns tar streams into a tree: the partial copy of one node.
 *
 * unpack_open, unpack_layer for each archive in order, unpack_finish, unpack_close. One thread
 * calls. A layer with a manifest is checked against it entry by entry and relocated on the way;
 * without one it is taken as it is, and relocated by unpack_finish if the old prefix can be told.
 * Leaves in the tree: NAME_OWN "/manifest", which says what is there now.
 */
#ifndef BCAST_STAGE_UNPACK_H
#define BCAST_STAGE_UNPACK_H

#include <stdatomic.h>

#include "archive/tarread.h"

struct unpack_options {
    const char *dir;        /* absolute: where the tree will be, for relocation */
    const char *old_prefix; /* of archives without a manifest; NULL: find out */
    bool external_links;    /* absolute symlinks in archives without a manifest */
    int threads;
    struct tar_policy policy;
    _Atomic uint64_t *bytes, *files; /* progress, may be read by others */
};

struct unpack; /* opaque */

/* `top` is the partial tree's directory, empty; stays the caller's. */
struct unpack *unpack_open(int top, const struct unpack_options *o, struct error *err);

/* `framing` is how the stream was cut ("gz", "zst", "none" for a sealed tar, FRAMING_UNLISTED). */
int unpack_layer(struct unpack *u, tar_next_block *next, void *context, const char *framing,
                 struct error *err);

int unpack_finish(struct unpack *u, struct error *err);

/* NULL is allowed. */
void unpack_close(struct unpack *u);

#endif
