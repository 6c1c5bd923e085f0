/* SPDX-License-Identifier: BSD-3-Clause */
/* unpack_private.h - what unpack.c (layers) and unpack_entry.c (their entries) share; nobody else
 * includes it. */
#ifndef BCAST_STAGE_UNPACK_PRIVATE_H
#define BCAST_STAGE_UNPACK_PRIVATE_H

#include <stdio.h>
#include <xxhash.h>

#include "base/pathmap.h"
#include "manifest/manifest.h"
#include "relocate/rewrite.h"
#include "stage/unpack.h"
#include "tree/tree.h"
#include "tree/writer.h"

struct unpack {
    struct unpack_options o;
    int top;
    struct tree *tree;
    struct writer *writer;
    struct rewriter *rewriter;
    XXH3_state_t *in, *out; /* checksums of the current file before and after relocation */
    uint64_t out_size;
    struct pathmap *replaced; /* path -> number of the last layer that holds it, if not the first */
    struct pathmap *seen;     /* paths of this layer; NULL in the first layer */
    int layers;
    bool unlisted; /* a layer had no manifest */
    /* The directories of all layers, whose modes and times are set last. */
    struct manifest_writer *dirs;
    FILE *dirs_file;
    /* The current layer: */
    FILE *incoming; /* its manifest, in a file without a name; NULL: it has none */
    struct manifest_reader *expected;
    struct manifest_writer *listing;
    FILE *listing_file;
    struct rewrite_map maps[REWRITE_MAPS];
    int n_maps;
};

/* Creates the current entry of `t` in the tree and lists it. It changes the record: after
 * relocation a file has another size and checksum. */
int unpack_make(struct unpack *u, struct tar *t, struct record *r, struct error *err);

#endif
